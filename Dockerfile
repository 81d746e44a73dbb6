# The command, the library and the example master on Debian 12, from pgkeeper's own packages; docker-compose.yml uses
# it for trying out. tests/checks/packages.sh runs the lines that build, without an engine.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        cmake dpkg-dev file gcc libc6-dev libpq-dev libssl-dev ninja-build pkg-config uuid-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN cmake --preset package -B /build && cmake --build /build && cpack --config /build/CPackConfig.cmake -B /packages
RUN dpkg -i /packages/*.deb
RUN cc examples/master.c examples/jobs.c examples/files.c -o /usr/local/bin/master $(pkg-config --cflags --libs pgkeeper)

FROM debian:12-slim
COPY --from=build /packages/*.deb /packages/
RUN apt-get update \
    && apt-get install -y --no-install-recommends /packages/libpgkeeper0_*.deb /packages/pgkeeper_*.deb \
    && rm -rf /packages /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/master /usr/local/bin/master
USER nobody
ENTRYPOINT ["pgkeeper"]
CMD ["version"]
