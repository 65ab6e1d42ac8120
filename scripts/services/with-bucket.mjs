// Makes the bucket `models` on the S3 server of services.mjs, which everyone may read as behind a CDN, and runs a command with it. The
// command finds S3_ENDPOINT, CDN_URL and the owner's keys in its environment:
//   node scripts/services.mjs --only s3 -- node scripts/services/with-bucket.mjs COMMAND ARGS…
import { spawnSync } from 'node:child_process';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';

const BUCKET = 'models';
const REGION = 'us-east-1';
const [program, ...args] = process.argv.slice(2);
const { MG_TEST_S3: endpoint, MG_TEST_S3_KEYS: keys } = process.env;
if (program === undefined || endpoint === undefined || keys === undefined) {
  console.error('usage: node scripts/services.mjs --only s3 -- node scripts/services/with-bucket.mjs COMMAND ARGS…');
  process.exit(1);
}

const { id, secret } = JSON.parse(keys).owner;
const credentials = { accessKeyId: id, secretAccessKey: secret };
const client = new S3Client({ endpoint, region: REGION, credentials, forcePathStyle: true });
await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
const everyone = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${BUCKET}/*` };
await client.send(
  new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: JSON.stringify({ Version: '2012-10-17', Statement: [everyone] }) }),
);
client.destroy();

const { status, error } = spawnSync(program, args, {
  stdio: 'inherit',
  env: {
    ...process.env,
    S3_ENDPOINT: endpoint,
    CDN_URL: `${endpoint}/${BUCKET}`,
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: secret,
  },
});
if (error) console.error(`${program}: ${error.message}`);
process.exitCode = status ?? 1;
