"""Reference values of `curves_of_leaving_are_those_of_scipy`.

    pip install numpy==2.4.6 scipy==1.17.1; python forecast.py

1,000 organisations over twelve months, with those removed in each. Greatest likelihood of
binomial removals under each curve, with the weak prior that the module states (normal,
deviation 5, around 0 on logarithms and logits). Prints minus the logarithm of likelihood
and prior, and the share left after 12 and 24 months.
"""

import numpy as np
from scipy.optimize import minimize

REMOVED = [150, 120, 95, 80, 62, 50, 41, 33, 28, 22, 18, 15]
AT_RISK = [1000 - sum(REMOVED[:t]) for t in range(12)]
logistic = lambda x: 1 / (1 + np.exp(-x))
weibull = lambda at, t: np.exp(-((np.exp(at[0]) * t) ** np.exp(at[1])))
CURVES = {
    "Exponential": (1, lambda at, t: np.exp(-np.exp(at[0]) * t)),
    "Weibull": (2, weibull),
    "Gompertz": (2, lambda at, t: np.exp(-np.exp(at[0]) * np.expm1(at[1] * t) / at[1])),
    "Cure": (3, lambda at, t: logistic(at[2]) + (1 - logistic(at[2])) * weibull(at, t)),
}

for name, (size, left) in CURVES.items():
    t = np.arange(13.0)

    def minus(at):
        share = np.concatenate([[1.0], left(at, t[1:])])
        chance = np.clip(1 - share[1:] / share[:-1], 1e-9, 1 - 1e-9)
        removed, stayed = np.array(REMOVED), np.array(AT_RISK) - REMOVED
        return -(removed @ np.log(chance) + stayed @ np.log1p(-chance)) + np.sum(np.square(at)) / 50

    best = None
    for start in ([-2.0, 0.0, -1.0], [-2.0, -0.1, -2.0], [-1.5, 0.1, 0.0]):
        fit = minimize(minus, start[:size], method="Nelder-Mead",
                       options={"xatol": 1e-12, "fatol": 1e-13, "maxiter": 20000, "maxfev": 20000})
        fit = minimize(minus, fit.x, method="Nelder-Mead",
                       options={"xatol": 1e-12, "fatol": 1e-13, "maxiter": 20000, "maxfev": 20000})
        best = fit if best is None or fit.fun < best.fun else best
    print(f'("{name}", {best.fun:.10f}, [{left(best.x, 12.0):.9f}, {left(best.x, 24.0):.9f}]),')
