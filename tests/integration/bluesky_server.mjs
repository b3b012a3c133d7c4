// A directory of identities (in memory) and a personal data server (below FOLDER) on loopback: node serve.mjs FOLDER PORT
import crypto from "node:crypto";
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

// The packages lie elsewhere: in the folder that this was called with.
const require = createRequire(path.join(process.env.PEERS, "package.json"));
const plc = require("@did-plc/server");
const { PDS, envToCfg, envToSecrets } = await import(require.resolve("@atproto/pds"));

const [folder, port] = process.argv.slice(2);
const directory = plc.PlcServer.create({ db: plc.Database.mock(), port: 0 });
const listening = await directory.start();

fs.mkdirSync(path.join(folder, "data"), { recursive: true });
const env = {
  devMode: true,
  port: Number(port),
  hostname: "localhost",
  dataDirectory: path.join(folder, "data"),
  blobstoreDiskLocation: path.join(folder, "blobs"),
  didPlcUrl: `http://localhost:${listening.address().port}`,
  serviceHandleDomains: [".test"],
  inviteRequired: false,
  disableSsrfProtection: true,
  rateLimitsEnabled: false,
  jwtSecret: crypto.randomBytes(16).toString("hex"),
  adminPassword: crypto.randomBytes(16).toString("hex"),
  plcRotationKeyK256PrivateKeyHex: crypto.randomBytes(32).toString("hex"),
};
const server = await PDS.create(envToCfg(env), envToSecrets(env));
await server.start();
