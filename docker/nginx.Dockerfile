# nginx.Dockerfile: nginx with the Writeen module compiled in.
#
#   docker build -f docker/nginx.Dockerfile -t writeen-nginx .
#
# Runs as nobody in particular (10001) and listens on 8080.  Settings are
# environment, see docker/README.md; docker/nginx/start.sh makes nginx.conf of
# them.

ARG BASE=docker.io/library/debian:bookworm-20250520-slim

FROM ${BASE} AS build
ARG NGINX_VERSION=1.28.3
ARG DEBIAN_FRONTEND=noninteractive

RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       gcc make libc6-dev ca-certificates \
       libhiredis-dev libjwt-dev libjansson-dev libssl-dev zlib1g-dev \
       libpcre2-dev

COPY . /src
WORKDIR /src

# The source of nginx comes by cargo, unless tools/nginx-source.sh has brought
# it before.
RUN test -x build/deps/nginx-${NGINX_VERSION}/configure \
    || { apt-get install -qy --no-install-recommends cargo-web \
         && tools/nginx-source.sh ${NGINX_VERSION} \
                "$PWD"/build/deps/nginx-${NGINX_VERSION}; }

RUN tools/nginx.sh static /obj /out/nginx ${NGINX_VERSION} \
    && strip /out/nginx


FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive

RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       ca-certificates libhiredis0.14 libjwt0 libjansson4 libssl3 zlib1g \
       libpcre2-8-0 libcrypt1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log \
    && groupadd -g 10001 writeen \
    && useradd -u 10001 -g 10001 -M -d /var/lib/writeen -s /usr/sbin/nologin \
       writeen \
    && install -d -o writeen -g writeen -m 750 /var/lib/writeen \
    && install -d -o writeen -g writeen -m 2770 /var/spool/writeen \
    && install -d /etc/writeen/http.d /etc/writeen/server.d

COPY --from=build /out/nginx /usr/sbin/nginx
COPY docker/nginx/start.sh docker/nginx/health.sh /usr/lib/writeen/
COPY docker/nginx/nginx.conf.in /etc/writeen/nginx.conf.in
COPY web /usr/share/writeen/web

USER 10001:10001
WORKDIR /var/lib/writeen
VOLUME /var/spool/writeen
EXPOSE 8080 9145
STOPSIGNAL SIGQUIT

# "degraded" is well enough here: chat goes on, and another nginx would be no
# better off.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/lib/writeen/health.sh"]

ENTRYPOINT ["/usr/lib/writeen/start.sh"]
