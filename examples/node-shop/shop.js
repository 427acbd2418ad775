// A small shop, to be shipped by Serin. No dependencies.
//
//     node shop.js releases/v1.json
//
// A release file stands for what a real release is: other code. PORT and VERSION come from the
// environment. ERROR_RATE (0 to 1) and DELAY_MS, from the environment or else from the release
// file, play a bad version: that share of requests is answered 500, and every request takes so
// much longer.
"use strict";

const fs = require("node:fs");
const http = require("node:http");

const release = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const version = process.env.VERSION ?? "unknown";
const errorRate = Number(process.env.ERROR_RATE ?? release.errorRate);
const delayMs = Number(process.env.DELAY_MS ?? release.delayMs);
let stopping = false;

function answer(response, status, document) {
  const body = JSON.stringify(document) + "\n";
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "X-Version": version,
    ...(stopping && { Connection: "close" }),
  });
  response.end(body);
}

function shop(response) {
  if (Math.random() < errorRate) {
    answer(response, 500, { error: "the till is on fire" });
  } else {
    answer(response, 200, { greeting: release.greeting });
  }
}

const server = http.createServer((request, response) => {
  switch (request.url.split("?")[0]) {
    case "/ready":
      return answer(response, stopping ? 503 : 200, { ready: !stopping });
    case "/health":
      return answer(response, 200, { healthy: true });
    case "/version":
      return answer(response, 200, { version });
    case "/":
      return delayMs > 0 ? setTimeout(shop, delayMs, response) : shop(response);
    default:
      return answer(response, 404, { error: `no page ${request.url}` });
  }
});

// Longer than Serin keeps an idle connection, so that it is always Serin that closes one.
server.keepAliveTimeout = 120_000;

function stop() {
  if (stopping) return;
  stopping = true;
  // Takes no more connections, closes the idle ones, and calls back after the last answer.
  server.close(() => console.log("finished the last request"));
  server.closeIdleConnections();
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);

server.listen(Number(process.env.PORT), "127.0.0.1", () => {
  console.log(`${version} listens on ${server.address().port}`);
});
