# Airflow, training and the MLflow server: one environment, from the same lock file as on a laptop.
FROM python:3.11-slim-bookworm AS environment
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --root-user-action=ignore "uv==${UV_VERSION}"
COPY requirements.txt /tmp/requirements.txt
# Compiled here, because the containers cannot write beside their code.
RUN uv venv --python /usr/local/bin/python3 /opt/venv \
    && uv pip sync --python /opt/venv --system-certs --no-cache --require-hashes --compile-bytecode /tmp/requirements.txt \
    && find /opt/venv -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -exec rm -rf {} +

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 ratchet \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp ratchet \
    && install -d -o ratchet -g ratchet /var/lib/ratchet/logs /var/lib/ratchet/scratch/train_sides \
    && chown -R ratchet:ratchet /var/lib/ratchet
COPY --from=environment /opt/venv /opt/venv
WORKDIR /opt/ratchet
COPY . .
RUN /opt/venv/bin/python -m compileall -q /opt/ratchet
ARG REVISION=unknown
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/ratchet \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    AIRFLOW_HOME=/tmp/airflow \
    RATCHET_HOME=/var/lib/ratchet \
    RATCHET_CODE_VERSION=${REVISION}
LABEL org.opencontainers.image.title="Ratchet" \
      org.opencontainers.image.description="Airflow, training and the MLflow server of Ratchet" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
VOLUME /var/lib/ratchet
STOPSIGNAL SIGTERM
CMD ["airflow", "version"]
