import { type Command, InvalidArgumentError, Option } from 'commander'
import { longestToken, rotationPolicies, withRotation } from '../config/policies.ts'
import { Refused } from '../errors.ts'
import { RP_MODELS } from '../relying-parties/models.ts'
import { type OutageCost, outageCosts } from '../relying-parties/outages.ts'
import { type Simulation, type SimulationOptions, simulate } from '../relying-parties/simulate.ts'
import { type Cause, duration, type Story } from '../relying-parties/story.ts'
import type { ModelReport } from '../relying-parties/verdict.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadIssuerConfig,
  printJson,
} from './context.ts'
import { table } from './table.ts'
import { countArgument, durationArgument, instant, positiveDurationArgument } from './words.ts'

interface Options extends JsonOption {
  readonly days?: number
  readonly nodes: number
  readonly model?: readonly string[]
  readonly propagation?: number
  readonly retention?: number
  readonly leeway: number
  readonly fetchTime: number
  readonly pause: number
  readonly outage?: number
  readonly staleIfError?: true
  readonly ringAgeLimit: boolean
}

const DAY = 86_400

export function fillSimulate(simulating: Command, program: Command, context: Context): void {
  simulating
    .option(
      '--days <n>',
      'days from a first start (default: as long as the rings need, mostly a year or more)',
      countArgument,
    )
    .option(
      '--nodes <n>',
      'number of nodes, with the worst allowed clocks and faults',
      countArgument,
      50,
    )
    .option('--model <name...>', 'only these models', modelArgument)
    .option(
      '--propagation <duration>',
      'instead of the configured value, safe or not',
      durationArgument,
    )
    .option(
      '--retention <duration>',
      'instead of the configured value, safe or not',
      durationArgument,
    )
    .addOption(
      new Option('--leeway <duration>', 'relying parties accept tokens for this much longer')
        .argParser(durationArgument)
        .default(0, '0s'),
    )
    .addOption(
      new Option('--fetch-time <duration>', 'longest time of a fetch')
        .argParser(durationArgument)
        .default(60, '60s'),
    )
    .addOption(
      new Option(
        '--pause <duration>',
        'longest time between two tokens at relying parties that refresh in the background',
      )
        .argParser(positiveDurationArgument)
        .default(1, '1s'),
    )
    .option(
      '--outage <duration>',
      'also show the cost of an outage of the JWKS of this length',
      durationArgument,
    )
    .option('--stale-if-error', 'let HTTP caches serve stale answers while no node can be reached')
    .option('--no-ring-age-limit', 'let nodes use keys older than maxRingAge')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      '\nThe command reads only the configuration, without database or server. MARGIN is how much ' +
        'sooner keys could\nsign, or how much longer tokens could live, without a change of the verdict. ' +
        'Rings that rotate every few\nminutes are simulated separately and for less than a year, ' +
        'because nothing new happens after some switches.',
    )
    .action((options: Options) => runSimulation(program, context, options))
}

/** Simulates and prints. @throws Refused if the policy is unsafe for a model */
async function runSimulation(program: Command, context: Context, options: Options): Promise<void> {
  const start = context.clock.now()
  const settings = withRotation(await loadIssuerConfig(program, context), options)
  const { rotation } = settings
  const models = RP_MODELS.filter(({ name }) => options.model?.includes(name) ?? true)
  const result = watched(context, {
    policies: rotationPolicies(settings),
    refreshInterval: rotation.refreshInterval,
    jwksMaxAge: rotation.jwksMaxAge,
    staleWhileRevalidate: rotation.staleWhileRevalidate,
    staleIfError: options.staleIfError ? rotation.staleIfError : 0,
    tokenLifetime: longestToken(settings).lifetime,
    leeway: options.leeway,
    flight: options.fetchTime,
    gap: options.pause,
    nodes: options.nodes,
    start,
    horizon: options.days === undefined ? undefined : options.days * DAY,
    nodeRules: { ringAgeLimit: options.ringAgeLimit },
    models,
  })
  const { outage: length } = options
  const outage =
    length === undefined ? null : { length, costs: outageCosts(length, rotation, models) }
  if (options.json) printJson(context, outage ? { ...result, outage } : result)
  else {
    const { staleIfError } = rotation
    context.print(report(result, options, { start, staleIfError, context }))
    if (outage) context.print(`\n${outageReport(outage, { staleIfError, context })}`)
  }

  const unsafe = result.models.filter(({ verdict }) => verdict === 'unsafe')
  if (unsafe.length === 0) return
  const causes = result.stories.map(({ cause }) => CAUSES[cause]).join('; ')
  throw new Refused(
    'policy_unsafe',
    { unsafe: unsafe.length, models: result.models.length },
    `The policy is unsafe for ${unsafe.length} of ${result.models.length} models: ${causes}.`,
  )
}

/** Simulates with progress on the terminal. */
function watched(context: Context, options: SimulationOptions): Simulation {
  const onProgress: SimulationOptions['onProgress'] = ({ rings, model, share }) =>
    context.progress?.(`${Math.floor(100 * share)} % (${rings.join(', ')}: ${model})`)
  try {
    return simulate({ ...options, onProgress })
  } finally {
    context.progress?.('')
  }
}

const CAUSES = {
  propagation: 'propagation is too short',
  retention: 'retention is too short',
  'ring age': 'nodes sign with or serve keys older than maxRingAge',
} as const satisfies Record<Cause, string>

function report(
  { models, stories, parts, ...counts }: Simulation,
  { staleIfError: isCounted }: Options,
  scene: { readonly start: number; readonly staleIfError: number; readonly context: Context },
): string {
  const { nodes, activations, removals, revocations, tried } = counts
  const rows = models.map(({ model, standsFor, verdict, margin }) => [
    model,
    standsFor,
    verdict,
    margin === null ? '-' : `${margin < 0 ? '-' : ''}${duration(Math.abs(margin))}`,
  ])
  const stale = duration(scene.staleIfError)
  return [
    table(['MODEL', 'STANDS FOR', 'VERDICT', 'MARGIN'], rows, scene.context),
    conditions(models),
    ...stories.map((story) => storyText(story, models, scene)),
    `${partsText(parts)}, ${nodes} nodes: keys took over ${activations} times and left ${removals} ` +
      `times, ${revocations} were revoked; ${tried} arrangements of caches, fetches and tokens ` +
      'were tried.',
    isCounted
      ? `stale-if-error (${stale}) is counted.`
      : `stale-if-error (${stale}) is not counted: caches use it only while no node can be ` +
        'reached. To count it: --stale-if-error',
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

/** @example partsText(parts) // 'sig/RS256 for 38 min, sig/ES256 for 365 d' */
function partsText(parts: Simulation['parts']): string {
  const [only, ...others] = parts
  if (only && others.length === 0) return duration(only.horizon)
  return parts
    .map(({ rings, horizon }) => `${rings.join(', ')} for ${duration(horizon)}`)
    .join(', ')
}

function conditions(models: readonly ModelReport[]): string {
  return models
    .flatMap(({ model, verdict, condition }) =>
      condition === null
        ? []
        : `${model}${verdict === 'conditional' ? ' is safe' : ':'} ${condition}.`,
    )
    .join('\n')
}

function storyText(
  { cause, model, events }: Story,
  models: readonly ModelReport[],
  { start, context }: { readonly start: number; readonly context: Context },
): string {
  const hit = models.filter(({ stories }) => stories.some((story) => story.cause === cause))
  const first = events[0]?.at ?? start
  const rows = events.map(({ at, text }) => [`t+${duration(at - first)}`, text])
  return (
    `Unsafe, because ${CAUSES[cause]} (${hit.length} of ${models.length} models). Shortest story, from ` +
    `${instant(first, start)}, for ${model}:\n\n${table(['WHEN', 'WHAT HAPPENS'], rows, context)}`
  )
}

function outageReport(
  { length, costs }: { readonly length: number; readonly costs: readonly OutageCost[] },
  { staleIfError, context }: { readonly staleIfError: number; readonly context: Context },
): string {
  const rows = costs.map((cost) => [
    cost.model,
    cost.standsFor,
    refusalText(cost),
    cost.waitsFor === null ? '-' : duration(cost.waitsFor),
  ])
  const shortest = Math.min(...costs.map(({ waitsFor }) => waitsFor ?? Infinity))
  const impatient = costs.filter(({ waitsFor }) => waitsFor === shortest)
  return [
    `While the JWKS is unavailable for ${duration(length)}, valid tokens of known keys are refused:`,
    table(['MODEL', 'STANDS FOR', 'REFUSES', 'WAITS FOR A FETCH'], rows, context),
    '"Up to" is for a relying party that was about to fetch. A relying party that starts without a JWKS ' +
      'refuses everything.' +
      (shortest === Infinity
        ? ''
        : ` A JWKS that takes longer than they wait counts as unavailable: ${duration(shortest)} at ` +
          `${impatient.map(({ standsFor }) => standsFor).join(', ')}.`),
    length <= staleIfError
      ? 'None of this happens behind an HTTP cache that serves stale answers while no node answers: ' +
        `rotation.staleIfError allows ${duration(staleIfError)}.`
      : `An HTTP cache may serve a stale JWKS for ${duration(staleIfError)} of the outage ` +
        '(rotation.staleIfError).',
  ].join('\n\n')
}

function refusalText({ refusesFor, allFrom, endsByUnknownKid }: OutageCost): string {
  const kid = endsByUnknownKid ? 'all from the first unknown kid on' : ''
  if (refusesFor === 0) return kid || 'none'
  const all = allFrom === null ? '' : `all from ${duration(allFrom)} on`
  return [`for up to ${duration(refusesFor)}`, allFrom === 0 ? '' : all, kid]
    .filter((text) => text !== '')
    .join('; ')
}

/** Collects names of models for commander. */
function modelArgument(name: string, before: readonly string[] = []): readonly string[] {
  if (RP_MODELS.some((model) => model.name === name)) return [...before, name]
  const names = RP_MODELS.map((model) => model.name).join(', ')
  throw new InvalidArgumentError(`There is no model ${name}. The models are: ${names}.`)
}
