# syntax=docker/dockerfile:1
# rekeyd as one static binary in an empty image. The build needs only the base image and the crates.
# Pin the base image by digest for reproducible builds.

FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# The C compiler is for SQLite and the cryptography, Python for the SBOM; the certificates go into the image.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev make python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# With an explicit target the flags apply to rekeyd and its libraries, not to build scripts and macros.
ARG PROFILE=release
ENV RUSTFLAGS="-C target-feature=+crt-static"
# The image's toolchain has the version of rust-toolchain.toml.
COPY Cargo.toml Cargo.lock ./
# Dependencies only, with an empty program: this layer is rebuilt only when one of them changes.
RUN --mount=type=cache,id=rekeyd-registry,target=/usr/local/cargo/registry \
    mkdir -p src benches/fleet tests/it tests/system \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs benches/fleet/main.rs tests/it/main.rs > tests/system/main.rs \
 && cargo build --locked --profile "$PROFILE" --bin rekeyd --target "$(rustc -vV | sed -n 's/^host: //p')"
COPY migrations migrations
COPY packaging/sbom packaging/sbom
# Embedded in the status page.
COPY docs/runbook.md docs/runbook.md
COPY src src
# Touched, because sources older than the empty program would not be compiled.
RUN --mount=type=cache,id=rekeyd-registry,target=/usr/local/cargo/registry \
    touch src/lib.rs src/main.rs \
 && target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --locked --profile "$PROFILE" --bin rekeyd --target "$target" \
 && install -D -m 0755 target/"$target"/*/rekeyd /out/usr/bin/rekeyd \
 && install -d -m 0755 /out/usr/share/doc/rekeyd \
 && python3 packaging/sbom > /out/usr/share/doc/rekeyd/sbom.cdx.json \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 0755 /out/etc/rekeyd \
 && echo 'rekeyd:x:65532:65532:rekeyd:/nonexistent:/sbin/nologin' > /out/etc/passwd \
 && echo 'rekeyd:x:65532:' > /out/etc/group \
 && echo '127.0.0.1 localhost' > /out/etc/hosts \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/rekeyd \
 && install -d -m 0750 -o 65532 -g 65532 /out/run/rekeyd
# Size limit of a release.
RUN if [ "$PROFILE" = release ]; then [ "$(du --bytes --summarize /out | cut -f1)" -lt 26214400 ]; fi

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rekeyd" \
      org.opencontainers.image.description="Rotates ElevenLabs service-account API keys without breaking a consumer" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
# The journal needs a persistent volume; published secrets need one that consumers share.
VOLUME ["/var/lib/rekeyd"]
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/bin/rekeyd", "healthcheck", "--url", "http://127.0.0.1:9809/livez"]
ENTRYPOINT ["/usr/bin/rekeyd"]
CMD ["run", "--policy", "/etc/rekeyd/policy.toml"]
