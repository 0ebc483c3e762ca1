"""Reference values of `unseen_people_have_the_estimates_of_glm`: profile likelihoods.

    pip install numpy==2.4.6 scipy==1.17.1; python recapture_profile.py

Hepatitis A in Taiwan, three lists (cells in anchors.json). For the model of independence
and the one with pairs PQ and QE: the ends of the 95 % interval of the total, where the
multinomial likelihood maximised over all else, with the unseen as if counted, is 1.9207
below its top (Cormack 1992).
"""

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import gammaln

CELLS = {"111": 28, "110": 21, "101": 17, "011": 18, "100": 69, "010": 55, "001": 63}
SETS = ["000", *CELLS]
SEEN = sum(CELLS.values())


def profile(pairs):
    design = np.array(
        [[*map(int, s), *[int(s[a]) * int(s[b]) for a, b in pairs]] for s in SETS], float
    )

    def value(unseen):
        counts = np.array([unseen, *CELLS.values()])

        def minus(beta):
            eta = design @ beta
            log_p = eta - np.logaddexp.reduce(eta)
            return -counts @ log_p, -(design.T @ (counts - counts.sum() * np.exp(log_p)))

        fit = minimize(minus, np.zeros(design.shape[1]), jac=True, method="BFGS",
                       options={"gtol": 1e-9, "maxiter": 5000})
        return gammaln(counts.sum() + 1) - gammaln(unseen + 1) - fit.fun

    top = minimize_scalar(lambda log: -value(np.exp(log)), bounds=(2, 9), method="bounded",
                          options={"xatol": 1e-10})
    fall = lambda unseen: value(unseen) + top.fun + 1.920729410347062
    best = np.exp(top.x)
    return SEEN + brentq(fall, 1, best, xtol=1e-9), SEEN + brentq(fall, best, 50 * best, xtol=1e-9)


for pairs in ([], [(0, 1), (1, 2)]):
    print(pairs, ["%.9f" % end for end in profile(pairs)])
