# worker.Dockerfile: the worker pool of Writeen chat.
#
#   docker build -f docker/worker.Dockerfile -t writeen-worker .
#
# Runs as 10001, as nginx does, with whom it shares the spool.  Settings are
# environment: `writeen-worker --help`, docker/README.md.

ARG BASE=docker.io/library/debian:bookworm-20250520-slim

FROM ${BASE} AS build
ARG DEBIAN_FRONTEND=noninteractive

RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       gcc make libc6-dev pkg-config \
       libhiredis-dev libjwt-dev libjansson-dev libssl-dev zlib1g-dev \
       libsqlite3-dev libmongoc-dev libutf8proc-dev libyajl-dev \
       libcurl4-openssl-dev libexpat1-dev \
       libgmime-3.0-dev libmagic-dev libzip-dev \
       libclamav-dev libvips-dev libseccomp-dev libglib2.0-dev

COPY . /src
WORKDIR /src

RUN make -s -j"$(nproc)" worker \
        WORKER_SCRIPTS=/usr/share/writeen/sql_or_mongo_scripts \
    && install -d /out \
    && install -s build/writeen-worker build/writeen-thumb \
       build/writeen-token /out


FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive

RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       ca-certificates tzdata \
       libhiredis0.14 libjwt0 libjansson4 libssl3 zlib1g \
       libsqlite3-0 libmongoc-1.0-0 libbson-1.0-0 libutf8proc2 libyajl2 \
       libcurl4 libexpat1 libgmime-3.0-0 libmagic1 libzip4 \
       libclamav12 libvips42 libseccomp2 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log \
    && groupadd -g 10001 writeen \
    && useradd -u 10001 -g 10001 -M -d /var/lib/writeen -s /usr/sbin/nologin \
       writeen \
    && install -d -o writeen -g writeen -m 750 /var/lib/writeen \
       /var/lib/writeen/files \
    && install -d -o writeen -g writeen -m 2770 /var/spool/writeen

COPY --from=build /out/ /usr/bin/
COPY sql_or_mongo_scripts /usr/share/writeen/sql_or_mongo_scripts

ENV SQLITE_PATH=/var/lib/writeen/writeen.db \
    STORAGE_PATH=/var/lib/writeen/files \
    SPOOL=/var/spool/writeen

USER 10001:10001
WORKDIR /var/lib/writeen
VOLUME /var/spool/writeen /var/lib/writeen
STOPSIGNAL SIGTERM

# Settings, Redis and the store; the pool itself is process 1.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["/usr/bin/writeen-worker", "--check"]

ENTRYPOINT ["/usr/bin/writeen-worker"]
