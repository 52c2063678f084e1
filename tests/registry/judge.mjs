// Judges Sigstore bundles with npm's @sigstore/verify, without a transparency log: only the key counts.
//
// usage: node judge.mjs DIRECTORY    (what tests/registry/get printed)
//
// Standard input is a JSON array of {"bundle": {...}, "key": PEM, "artifact": base64 or null}; standard output is a JSON array of
// "accepted" or the reason of the refusal.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'node_modules', 'x.js'));
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity } = require('@sigstore/verify');

function judge({ bundle, key, artifact }) {
  try {
    const publicKey = createPublicKey(key);
    const trust = {
      certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [],
      publicKey: () => ({ publicKey, validFor: () => true }),
    };
    const verifier = new Verifier(trust, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
    const text = artifact === null ? undefined : Buffer.from(artifact, 'base64');
    verifier.verify(toSignedEntity(bundleFromJSON(bundle), text));
    return 'accepted';
  } catch (error) {
    return String(error.message ?? error);
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(judge)));
