"""Reference values of `half_lives_have_log_log_intervals`.

    pip install lifelines==0.30.3; python half_life.py lung.csv

Median survival of lung with its interval on the log-log scale (lifelines' default).
"""

import csv
import sys

from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

rows = list(csv.DictReader(open(sys.argv[1])))
fit = KaplanMeierFitter().fit([float(r["time"]) for r in rows], [r["status"] == "2" for r in rows])
print(fit.median_survival_time_, median_survival_times(fit.confidence_interval_).values)
