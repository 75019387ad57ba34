import FLOORS from './lab/floors.json' with { type: 'json' }

/**
 * `lab/floors.json` has the floors of the house, from the ground up: a room imports from rooms before it in that list and
 * from no other.
 * ARCHITECTURE.md draws them. dependency-cruiser reads type imports too, because a type is knowledge as well.
 */

/** Rooms that a floor must not know: the ones above it. */
const floors = FLOORS.map((room, place) => ({
  name: `floor-${room}`,
  comment: `src/${room} must not import from a room above it`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${FLOORS.slice(place + 1).join('|')})/` },
})).slice(0, -1)

export default {
  forbidden: [
    {
      name: 'no-circular-files',
      comment: 'A cycle of files cannot be read from one end',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-circular-folders',
      comment: 'A cycle of rooms makes one room of them',
      severity: 'error',
      scope: 'folder',
      from: { path: '^src/' },
      to: { circular: true },
    },
    ...floors,
    {
      name: 'ground-knows-no-room',
      comment:
        'Files in src/ itself are ground: they know values/ and connection/ only; cli.ts starts the CLI',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$', pathNot: '^src/cli\\.ts$' },
      to: { path: '^src/[^/]+/', pathNot: '^src/(values|connection)/' },
    },
    {
      name: 'ring-is-a-library',
      comment: 'keyturn/ring needs jose, zod and node: modules, nothing else',
      severity: 'error',
      from: { path: '^src/(ring|values)/' },
      to: { dependencyTypes: ['npm'], pathNot: 'node_modules/(jose|zod|ms|ipaddr\\.js)/' },
    },
    {
      name: 'orm-in-database-only',
      comment:
        'TypeORM and SQL drivers are loaded by database/ alone, and by an ASP.NET Core key ring that is given by URL',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(database|server)/|^src/data-protection/open-store\\.ts$',
      },
      to: { path: 'node_modules/(typeorm|better-sqlite3|mysql2|pg)/' },
    },
    {
      name: 'source-needs-dependencies',
      comment: 'What src/ imports must be installed with the package',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'source-knows-no-equipment',
      comment: 'src/ is shipped alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|lab|bench|drill|fuzz|demo)/' },
    },
    {
      name: 'equipment-knows-no-tests',
      comment: 'What tests share with bench and drill lives in lab/',
      severity: 'error',
      from: { path: '^lab/' },
      to: { path: '^(test|bench|drill|fuzz|demo)/' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      // The types of better-sqlite3-napi are those of the package that it is an alias of.
      to: { couldNotResolve: true, pathNot: '^better-sqlite3$' },
    },
  ],
  options: {
    // TypeScript 7 offers no parser to others: without swc nothing would be read, and everything pass.
    // This parser refuses `using` declarations, which test/, bench/ and fuzz/ have; only src/ and lab/ are read.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(views|dist)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
}
