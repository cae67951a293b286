"""A second spec, for tests and benchmarks: what a user writes to bring data of their own."""

PULSARS = """
title = "Pulsars"
description = "A survey the size of HTRU2: eight numeric features, one positive in eleven."
model = "pulsars"

[data]
target = "class"

[selection]
screened_rows = 2000

[schedule]
cron = "0 3 * * *"
timezone = "Europe/Amsterdam"

[[families]]
name = "random_forest"
pipeline = ["sklearn.ensemble.RandomForestClassifier"]
params = { randomforestclassifier__n_estimators = 50 }
grid = { randomforestclassifier__min_samples_leaf = [5, 20] }

[[families]]
name = "xgboost"
pipeline = ["xgboost.XGBClassifier"]
params = { xgbclassifier__n_estimators = 50 }
grid = { xgbclassifier__max_depth = [2, 4] }

[[families]]
name = "logistic_regression"
pipeline = ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"]
grid = { logisticregression__C = [0.1, 1.0] }

[[families]]
name = "naive_bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
"""
"""HTRU2-shaped, with small grids; `demo.data.pulsar_rows` makes its rows."""
