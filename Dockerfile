# Keytile in a container: docker build -t keytile .
# The root file system may be read-only; all that is written lies in the volume /var/lib/keytile.

FROM rust:1-bookworm AS build
WORKDIR /build

# The dependencies first, as a layer that stays while only Keytile's own code changes. Every target that
# Cargo.toml names by its path must exist, hence the stand-ins; what was built from them is forgotten again.
COPY Cargo.toml Cargo.lock ./
RUN sed -n 's/^path = "\(.*\)"$/\1/p' Cargo.toml \
        | while read -r target; do mkdir -p "${target%/*}" && echo 'fn main() {}' > "$target"; done \
    && cargo build --profile dist --locked --bin keytile \
    && rm -rf src target/dist/.fingerprint/keytile-*

COPY . .
RUN cargo build --profile dist --locked --bin keytile

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Keytile" \
      org.opencontainers.image.description="A self-hosted credential store for data connectors"

# The number is fixed, so that the owner of a volume stays the same from image to image. A new volume takes
# over owner and mode of the folder that it covers.
RUN groupadd --gid 10001 keytile \
    && useradd --uid 10001 --gid keytile --no-log-init --no-create-home --home-dir /var/lib/keytile \
        --shell /usr/sbin/nologin keytile \
    && install -d -m 0700 -o keytile -g keytile /var/lib/keytile
COPY --from=build /build/target/dist/keytile /usr/local/bin/keytile

USER 10001:10001
# SQLite puts large intermediate results into a file, which must not need the read-only root.
ENV KEYTILE_DATA_DIR=/var/lib/keytile \
    SQLITE_TMPDIR=/var/lib/keytile
WORKDIR /var/lib/keytile
VOLUME /var/lib/keytile

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["keytile", "health"]
ENTRYPOINT ["keytile"]
CMD ["serve"]
