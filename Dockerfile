# Two images from the same locks as the Makefile: `watcher` (the default) and `airflow` (for docker-compose.yaml).
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS wheel
WORKDIR /build
COPY requirements/build.txt requirements/build.txt
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY watcher watcher
RUN /tools/bin/hatchling build -t wheel -d /dist

FROM ${BASE} AS daemon
COPY requirements/daemon.txt /build/daemon.txt
RUN python -m venv /app \
 && /app/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/daemon.txt
COPY --from=wheel /dist /dist
# pip has done its work: what is not there cannot be used. The folders are made here, where there is a shell.
RUN /app/bin/pip install --no-cache-dir --no-index --no-deps /dist/*.whl \
 && /app/bin/pip uninstall --yes pip setuptools \
 && mkdir -p /state /manifests /data/landing/partner

FROM ${BASE} AS airflow
COPY requirements/airflow.txt /build/airflow.txt
RUN python -m venv /app \
 && /app/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/airflow.txt
COPY --from=wheel /dist /dist
RUN /app/bin/pip install --no-cache-dir --no-index --no-deps /dist/*.whl \
 && mkdir -p /airflow /manifests /data/landing/partner \
 && chown -R 10001:10001 /airflow /manifests /data/landing
COPY airflow/dags /dags
COPY pipelines /pipelines
ENV PATH=/app/bin:$PATH \
    AIRFLOW_HOME=/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/dags \
    WATCHER__PIPELINES=/pipelines
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["/app/bin/airflow"]
CMD ["standalone"]

FROM ${BASE} AS watcher
LABEL org.opencontainers.image.title="watcher-for-airflow" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=daemon /app /app
COPY --from=daemon --chown=10001:10001 /state /state
COPY --from=daemon --chown=10001:10001 /manifests /manifests
COPY --from=daemon --chown=10001:10001 /data /data
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WATCHER__PIPELINES=/pipelines \
    WATCHER__STORE__URL=sqlite:////state/watcher.db \
    WATCHER__MANIFESTS=/manifests \
    WATCHER__WEB__OPS=0.0.0.0:8781
USER 10001:10001
WORKDIR /state
VOLUME ["/state"]
EXPOSE 8781
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["/app/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8781/livez', timeout=4)"]
ENTRYPOINT ["/app/bin/watcher"]
CMD ["run"]
