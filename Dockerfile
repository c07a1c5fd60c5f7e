# Build the wheels where there are tools for it, and run where there are none.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/rfmrisk \
    && /opt/rfmrisk/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY rfmrisk ./rfmrisk
RUN /opt/rfmrisk/bin/pip install --no-cache-dir --no-deps . \
    && /opt/rfmrisk/bin/pip uninstall --yes pip

FROM python:3.13-slim
ENV PATH=/opt/rfmrisk/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    HOME=/tmp \
    PORT=8000
COPY --from=build /opt/rfmrisk /opt/rfmrisk
# A volume on /runs belongs to whom the folder belongs to.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin rfmrisk \
    && install --directory --owner 10001 /runs
USER 10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["rfmrisk"]
CMD ["serve", "--host", "0.0.0.0"]
