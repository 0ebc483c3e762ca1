"""Reference values of `grouped_hazards_of_lung_are_those_of_glm` beyond R's seven digits.

    pip install numpy==2.4.6 statsmodels==0.15.0; python grouped_hazard.py lung.csv

Lung in quarters of a year, the eighth and later as one baseline block; complementary
log-log with age and sex. R's `glm` stops at a change of the deviance of 1e-8 and takes its
errors from the step before; Newton's method goes on here until nothing changes. Prints
coefficient, error from expected information, and the error over patients (sandwich with
expected information, G/(G-1)) of age and of sex.
"""

import csv
import math
import sys

import numpy as np
import statsmodels.api as sm

rows, events, patients = [], [], []
for patient, row in enumerate(csv.DictReader(open(sys.argv[1]))):
    last = math.ceil(float(row["time"]) / 91.31)
    for period in range(1, last + 1):
        block = min(period, 8)
        baseline = [float(block == b) for b in range(1, 9)]
        rows.append([*baseline, float(row["age"]), float(row["sex"])])
        events.append(float(row["status"] == "2" and period == last))
        patients.append(patient)
x, y, patients = np.array(rows), np.array(events), np.array(patients)
link = sm.families.links.CLogLog()
beta = sm.GLM(y, x, family=sm.families.Binomial(link=link)).fit().params
for _ in range(50):
    eta = x @ beta
    mu, slope = -np.expm1(-np.exp(eta)), np.exp(eta - np.exp(eta))
    by = slope / (mu * (1 - mu))
    bread = np.linalg.inv(x.T @ (x * (slope * by)[:, None]))
    beta = beta + bread @ (x.T @ ((y - mu) * by))
scores = x * ((y - mu) * by)[:, None]
groups = np.unique(patients)
sums = np.array([scores[patients == g].sum(axis=0) for g in groups])
robust = bread @ (sums.T @ sums) @ bread * len(groups) / (len(groups) - 1)
for j in (8, 9):
    print(f"{beta[j]:.12g} {bread[j, j] ** 0.5:.12g} {robust[j, j] ** 0.5:.12g}")
