# The image with the howdah binary: the operator, and what the pods of PostgreSQL get by their init container.
# It is built on Debian 12, so that an image with glibc 2.36 or newer can run the binary.
FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends libclang-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY e2e e2e
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    cargo build --release --locked -p howdah --target-dir /target \
 && strip --strip-debug -o /howdah /target/release/howdah

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /howdah /usr/local/bin/howdah
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/howdah"]
