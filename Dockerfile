# The command and the library on Debian 12; used by docker-compose.yml for trying out.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        cmake gcc libc6-dev libpq-dev libssl-dev ninja-build pkg-config uuid-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPGK_TESTS=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr/local \
    && cmake --build /build \
    && DESTDIR=/out cmake --install /build --strip

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libpq5 libssl3 libuuid1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /
RUN ldconfig
USER nobody
ENTRYPOINT ["pgkeeper"]
CMD ["version"]
