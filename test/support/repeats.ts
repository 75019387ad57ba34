/**
 * How often a test does the same thing over and over, such as a race or a random history: a few times
 * in `npm test`, many in `npm run test:thorough`.
 */
export function repeats(usual: number, thorough: number): number {
  return process.env.KEYTURN_TEST_THOROUGH ? thorough : usual
}
