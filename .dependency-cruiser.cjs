/** The arrows of ARCHITECTURE.md: each room imports from the rooms before it, type imports included. */

const VERBS = '^src/(?!index|errors)[a-z-]+\\.ts$';

/** From the ground up. */
const SRC = [
  '^src/errors\\.ts$',
  '^src/base/',
  '^src/formats/',
  '^src/native/',
  '^src/files/',
  '^src/http/',
  '^src/terminal/',
  '^src/keys/',
  '^src/recipients/',
  '^src/transfer/',
  '^src/stores/',
  '^src/cache/',
  '^src/contract/',
  '^src/audit/',
  '^src/engine/',
  '^src/legacy/',
  '^src/staging/',
  '^src/remote/',
  VERBS,
  '^src/index\\.ts$',
  '^src/server-kit/',
  '^src/cli/',
];
const SERVER = [
  'base',
  'database',
  'limits',
  'http',
  'audit',
  'keys',
  'accounts',
  'devices',
  'entitlements',
  'parts',
  'models',
  'uploads',
  'leases',
  'archives',
  'subjects',
  'start',
].map((room) => `^server/src/${room}/`);

const upwards = (rooms) =>
  rooms.slice(0, -1).map((room, index) => ({
    name: `upwards from ${room}`,
    comment: 'A room imports from the rooms below it (ARCHITECTURE.md).',
    severity: 'error',
    from: { path: room },
    to: { path: rooms.slice(index + 1) },
  }));

module.exports = {
  forbidden: [
    {
      name: 'circle',
      comment: 'No import runs in a circle, type imports included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'a verb imports a verb',
      comment: 'What verbs share stands in engine/.',
      severity: 'error',
      from: { path: VERBS },
      to: { path: VERBS },
    },
    {
      name: 'the addon outside of native/',
      comment: 'src/native/ alone loads the addon.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/native/' },
      to: { path: '(^|/)node-gyp-build(/|$)|\\.node$' },
    },
    {
      name: 'the command beside the public face',
      comment: 'The command imports the public face, remote/, contract/, base/, files/ and terminal/; the rest is listed in cli/sdk.ts.',
      severity: 'error',
      from: { path: '^src/cli/', pathNot: '^src/cli/sdk\\.ts$' },
      to: { path: '^src/', pathNot: ['^src/(cli|remote|contract|base|files|terminal)/', '^src/[a-z-]+\\.ts$', '^src/legacy/index\\.ts$'] },
    },
    {
      name: 'the server beside server-kit',
      comment: 'The server imports the SDK by its package name.',
      severity: 'error',
      from: { path: '^server/src/' },
      to: { path: '^src/', pathNot: '^src/(index\\.ts|server-kit/)' },
    },
    ...upwards(SRC),
    ...upwards(SERVER),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|server/dist)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
