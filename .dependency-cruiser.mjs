// The rooms of lib/: a folder imports only from folders above it in this list, and no files import each other in a circle.
// lib/README.md says what each is for; `npm run lint:rooms` checks both.
export const rooms = [
  "errors",
  "statistics",
  "display",
  "files",
  "addon",
  "operation",
  "download",
  "families",
  "tokenizer",
  "data",
  "session",
  "bypass",
  "checkpoint",
  "hub",
  "conversion",
  "generation",
  "scoring",
  "metrics",
  "benchmark",
  "measure",
  "scan",
  "sweep",
  "effects",
  "revisions",
  "paper",
  "serve",
  "selectivity",
  "recommend",
  "report",
  "setup",
];

/** The files of lib/ itself, which put the rooms together, and what stands above these. */
const above = "[^/]+[.]ts$|cli/";

const lower = rooms.map((room, index) => ({
  name: `${room}-imports-only-from-above-it`,
  severity: "error",
  from: { path: `^lib/${room}/` },
  to: { path: `^lib/(${[...rooms.slice(index + 1).map((name) => `${name}/`), above].join("|")})` },
}));

export default {
  forbidden: [
    ...lower,
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "nothing-imports-the-command-line",
      severity: "error",
      from: { pathNot: "^lib/cli/" },
      to: { path: "^lib/cli/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js"] },
  },
};
