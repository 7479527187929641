# One image for all roles (docs/decisions/0033-one-image-for-all-roles.md):
#
#   docker build -t backhaul .
#   docker run --read-only --tmpfs /tmp -v backhaul:/var/lib/backhaul --network host backhaul standalone
#
# The first argument is the role: gateway, relay, processor, serving, standalone, or backhaul with a
# command of docs/cli.md. Settings are environment variables (docs/config.md).

# Here any Node 22 will do: the one that the image runs is among the packages.
FROM node:22-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json ./
COPY scripts/trim-install.mjs scripts/
RUN npm ci --omit=dev
COPY . .
RUN node_modules/.bin/node scripts/image.ts --out /image && mkdir /data

# Debian's C and C++ libraries and root certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12
ENV NODE_ENV=production BACKHAUL_DATA_DIR=/var/lib/backhaul PATH=/backhaul/node_modules/node/bin
COPY --from=build /image /backhaul
COPY --from=build --chown=10001:10001 /data /var/lib/backhaul
WORKDIR /backhaul
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENTRYPOINT ["/backhaul/node_modules/node/bin/node", "/backhaul/scripts/image/entrypoint.ts"]
