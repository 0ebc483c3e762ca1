"""Reference values of `scores_are_recalibrated_as_statsmodels_does`.

    pip install numpy==2.4.6 statsmodels==0.15.0; python calibration.py

Twelve scored cases. Platt's (1999) targets regressed on the scores' logits by a binomial
GLM; Brier score and expected calibration error over ten bins by their definitions.
"""

import numpy as np
import statsmodels.api as sm

p = np.array([0.05, 0.12, 0.18, 0.25, 0.33, 0.41, 0.52, 0.58, 0.67, 0.74, 0.86, 0.93])
y = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1], float)
plus, minus = y.sum(), len(y) - y.sum()
target = np.where(y == 1, (plus + 1) / (plus + 2), 1 / (minus + 2))
x = sm.add_constant(np.log(p / (1 - p)))
fit = sm.GLM(target, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
bins = np.minimum((p * 10).astype(int), 9)
error = sum(abs(p[bins == b].mean() - y[bins == b].mean()) * (bins == b).sum() for b in set(bins)) / len(p)
print("%.12g %.12g" % tuple(fit.params), "%.12g" % np.mean((p - y) ** 2), "%.12g" % error)
