#!/bin/sh
# Runs once, when the volume is new: a database and a role for each who needs one, and nothing shared.
set -eu
for name in airflow celery mlflow; do
  variable=$(echo "${name}_PASSWORD" | tr '[:lower:]' '[:upper:]')
  eval "password=\$$variable"
  psql -v ON_ERROR_STOP=1 -v name="$name" -v password="$password" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" <<'SQL'
CREATE DATABASE mlflow_auth OWNER mlflow;
REVOKE CONNECT ON DATABASE mlflow_auth FROM PUBLIC;
SQL
