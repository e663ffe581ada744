# The service of `tinker serve` in a container, from the packages of the registry:
#
#   docker build --build-arg VERSION=0.1.0 -t tinker-serve .
#   docker run -p 127.0.0.1:8000:8000 -v tinker-checkpoints:/data -e TINKER_SERVE_KEYS=tml-… tinker-serve
#
# Base models: mount a directory in the format of Hugging Face, or a GGUF file, and add --model-dir NAME=/models/NAME.
FROM node:22-bookworm-slim AS packages
ARG VERSION=latest
WORKDIR /service
# to try tarballs of one's own, put them into ./tarballs of the build's context
COPY tarball[s] ./tarballs
ENV ONNXRUNTIME_NODE_INSTALL=skip
RUN npm init -y > /dev/null \
  && if ls tarballs/*.tgz > /dev/null 2>&1; then npm install --omit=dev ./tarballs/*.tgz; \
     else npm install --omit=dev "@effect-tinker/cli@$VERSION"; fi \
  # binaries of other platforms
  && rm -rf node_modules/onnxruntime-node/bin/*/darwin node_modules/onnxruntime-node/bin/*/win32 \
  && rm -rf tarballs && npm cache clean --force

FROM node:22-bookworm-slim
ENV NODE_ENV=production
COPY --from=packages /service /service
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8000
# the port opens once the models are loaded
HEALTHCHECK --start-period=60s CMD ["node", "-e", "fetch('http://127.0.0.1:8000/api/v1/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM lets running work finish; give `docker stop --time` longer than --drain-seconds
ENTRYPOINT ["node", "/service/node_modules/@effect-tinker/cli/dist/bundle/tinker.js", "serve", "--host", "0.0.0.0", "--port", "8000", "--checkpoints", "/data"]
CMD ["--drain-seconds", "8"]
