"""Reference values of `negative_binomial_agrees_with_statsmodels`.

    pip install statsmodels==0.15.0; python negative_binomial.py seatbelts.csv

Drivers killed or injured by month: NB2 with log link on level, trend, step and slope
change at month 170. Prints the coefficients, theta and the log-likelihood.
"""

import csv
import sys

import numpy as np
import statsmodels.api as sm

drivers = np.array([int(row["drivers"]) for row in csv.DictReader(open(sys.argv[1]))])
t = np.arange(1, len(drivers) + 1)
after = (t >= 170).astype(float)
design = np.column_stack([np.ones(len(t)), t / 100, after, (t - 170) * after / 100])
fit = sm.NegativeBinomial(drivers, design).fit(
    method="newton", maxiter=500, tol=1e-14, disp=False,
    start_params=sm.NegativeBinomial(drivers, design).fit(maxiter=2000, disp=False).params,
)
scale = np.array([1, 100, 1, 100])
print([float(f"{c:.12g}") for c in fit.params[:4] / scale])
print(f"theta {1 / fit.params[4]:.12g}", f"log-likelihood {fit.llf:.12g}")
