# A relay in a container: no root, nothing but the program, all that lasts in /data.
#   docker build -t pds-relay .
#   docker run -d --name relay -p 127.0.0.1:8080:8080 -v pds-relay:/data \
#       -e PDS_RELAY_URL=https://relay.example pds-relay
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY did ./did
COPY credentials ./credentials
COPY pds ./pds
RUN python -m venv /opt/pds \
    && /opt/pds/bin/pip install --no-cache-dir '.[metrics,postgres]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pds-relay \
    && install -d -o pds-relay -g pds-relay -m 700 /data
COPY --from=build /opt/pds /opt/pds
USER 10001
ENV PATH=/opt/pds/bin:$PATH \
    PDS_RELAY_DATA=/data \
    PDS_RELAY_HOST=0.0.0.0 \
    PDS_RELAY_PORT=8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# The Host header must be one that the relay knows: with --host 0.0.0.0 localhost is.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://localhost:8080/readyz', timeout=4)"]
ENTRYPOINT ["pds", "relay", "serve"]
