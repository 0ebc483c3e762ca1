"""Reference values of `poisson_ends_are_garwoods` (crates/effect/src/proportion.rs).

    pip install scipy==1.17.1; python proportions.py
"""

from scipy.stats import chi2

print(chi2.ppf(0.975, 2) / 2, chi2.ppf(0.025, 20) / 2, chi2.ppf(0.975, 22) / 2)
