# syntax=docker/dockerfile:1
# rekeyd as one static binary in an empty image. The build needs nothing but the base image and the crates.
# Pin both images by digest where builds have to be repeatable bit for bit.

FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# The C compiler is for SQLite and the cryptography; the certificates go into the image.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The toolchain is the image's: rust-toolchain.toml names the same version.
COPY Cargo.toml Cargo.lock ./
COPY migrations migrations
# The status page quotes it.
COPY docs/runbook.md docs/runbook.md
COPY src src
# The target is named so that the flags hold for rekeyd and its libraries, not for build scripts and macros.
ARG TARGETARCH=amd64
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN --mount=type=cache,id=rekeyd-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=rekeyd-target-$TARGETARCH,target=/src/target \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --locked --release --bin rekeyd --target "$target" \
 && install -D -m 0755 "target/$target/release/rekeyd" /out/usr/bin/rekeyd \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 0755 /out/etc/rekeyd \
 && echo 'rekeyd:x:65532:65532:rekeyd:/nonexistent:/sbin/nologin' > /out/etc/passwd \
 && echo 'rekeyd:x:65532:' > /out/etc/group \
 && echo '127.0.0.1 localhost' > /out/etc/hosts \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/rekeyd \
 && install -d -m 0750 -o 65532 -g 65532 /out/run/rekeyd

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rekeyd" \
      org.opencontainers.image.description="Keeps ElevenLabs service-account API keys fresh, without ever breaking a consumer" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
# The journal needs a volume that survives the container; what is published needs one that consumers share.
VOLUME ["/var/lib/rekeyd"]
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/bin/rekeyd", "healthcheck", "--url", "http://127.0.0.1:9809/livez"]
ENTRYPOINT ["/usr/bin/rekeyd"]
CMD ["run", "--policy", "/etc/rekeyd/policy.toml"]
