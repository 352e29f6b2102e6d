# One image for each of notify-api, realtime-gateway and edge: docker build --target realtime-gateway .
FROM node:24-bookworm-slim AS build
WORKDIR /src
RUN npm install --global pnpm@12.21.0
# Dependencies get their own layer, since they change less often than the sources.
COPY pnpm-lock.yaml pnpm-workspace.yaml package.json ./
RUN pnpm fetch
COPY . .
RUN pnpm install --frozen-lockfile --offline
RUN pnpm exec tsc --build && pnpm --filter @tidings/demo exec vite build
RUN pnpm --filter @tidings/notify-api deploy --prod --offline --trust-lockfile /out/notify-api \
 && pnpm --filter @tidings/realtime-gateway deploy --prod --offline --trust-lockfile /out/realtime-gateway \
 && pnpm --filter @tidings/edge deploy --prod --offline --trust-lockfile /out/edge

FROM node:24-bookworm-slim AS service
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
USER node
# The edge has no ops port: it serves /live on its public port.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD node -e "fetch('http://127.0.0.1:${OPS_PORT:-$PORT}/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"
CMD ["node", "--enable-source-maps", "dist/main.js"]

FROM service AS notify-api
ENV PORT=8081 OPS_PORT=9081
EXPOSE 8081 9081
COPY --from=build /out/notify-api ./

FROM service AS realtime-gateway
ENV PORT=8082 OPS_PORT=9082
EXPOSE 8082 9082
COPY --from=build /out/realtime-gateway ./

FROM service AS edge
ENV PORT=8080
EXPOSE 8080
COPY --from=build /out/edge ./
