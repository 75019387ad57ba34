# Build: docker build -t keyturn .
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image brings its own Node; the pinned one is for checkouts.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production KEYTURN_HTTP__HOST=0.0.0.0 KEYTURN_MANAGEMENT__HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/config ./config
COPY --from=build /app/views ./views
RUN mkdir data && chown node:node data
USER node
VOLUME /app/data
EXPOSE 3000 9090
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:9090/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli.js"]
CMD ["serve"]
