import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { findProgram } from '../lab/programs.ts'
import { temporaryFolder } from '../lab/temporary.ts'
import { loadConfig } from '../src/config/load.ts'
import { RP_MODELS } from '../src/relying-parties/models.ts'
import { createMetrics } from '../src/server/metrics.ts'

/** No engine runs these files in the tests; what they say of Keyturn's settings can be held all the same. */

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8')
const KEK = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY'
const FILLED: Readonly<Record<string, string>> = {
  KEYTURN_SEAL__KEYS: KEK,
  KEYTURN_DATABASE__URL: 'postgres://keyturn:secret@postgres:5432/keyturn',
  KEYTURN_REDIS__URL: 'redis://redis:6379',
}

interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string }[]
}

function containersOf(file: string): { podSpec: Record<string, unknown>; container: Container } {
  const { spec } = parse(read(`deploy/kubernetes/${file}`))
  const podSpec = spec.template.spec
  return { podSpec, container: podSpec.containers[0] }
}

describe('docker-compose.yml', () => {
  it('gives the replicas a configuration that Keyturn takes, and the time to stop', () => {
    const { services } = parse(read('docker-compose.yml'), { merge: true })
    const settings: Record<string, unknown> = services.keyturn.environment
    const env = Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [
        name,
        `${value}`.includes('${') ? FILLED[name] : `${value}`,
      ]),
    )
    const config = loadConfig({ env })
    const { shutdownDelay, shutdownTimeout } = config.http
    assert.ok(
      Number.parseInt(services.keyturn.stop_grace_period, 10) > shutdownDelay + shutdownTimeout,
    )
    assert.equal(services.keyturn.deploy.replicas, 2)
    assert.deepEqual(services.migrate.environment, settings)
  })

  it('says how a Prometheus may scrape the replicas by the name of their service', () => {
    const lines = [...read('docker-compose.yml').matchAll(/# (KEYTURN_MANAGEMENT__\w+): (.+)/g)]
    const env = Object.fromEntries(lines.map(([, name, value = '']) => [name, parse(value)]))
    const { host, hosts } = loadConfig({ env }).management
    assert.deepEqual({ host, hosts }, { host: '0.0.0.0', hosts: ['keyturn'] })
  })
})

/** Values of a unit of systemd by `Section.Key`, each as often as it is written. */
function unit(name: string): (key: string) => readonly string[] {
  let section = ''
  const found = new Map<string, string[]>()
  for (const line of read(`deploy/systemd/${name}`).split('\n')) {
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (key === undefined || value === undefined) continue
    found.set(`${section}.${key}`, [...(found.get(`${section}.${key}`) ?? []), value])
  }
  return (key) => found.get(key) ?? []
}

describe('the units of systemd', () => {
  it('give each process a configuration that Keyturn takes, and the time to stop', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'keyturn.yaml')
    await writeFile(file, 'issuer: https://id.example.com\nhttp: { trustedProxies: 1 }\n')
    const service = unit('keyturn@.service')
    const env = Object.fromEntries(
      service('Service.Environment')
        .map((each) => each.replace('%i', '9091').split('='))
        .map(([name = '', value]) => [name, name === 'KEYTURN_CONFIG' ? file : value]),
    )
    const { http, management, warnings } = loadConfig({ env })
    assert.deepEqual(warnings, [])
    assert.equal(http.socketActivation, true)
    assert.equal(management.port, 9091)
    const [timeout] = service('Service.TimeoutStopSec')
    assert.ok(Number(timeout) > http.shutdownDelay + http.shutdownTimeout)
    assert.deepEqual(service('Service.Sockets'), ['keyturn.socket'])
    assert.deepEqual(unit('keyturn.socket')('Socket.Service'), ['keyturn@9091.service'])
  })

  const analyze = findProgram('systemd-analyze')
  const skip = analyze ? false : 'systemd is not installed'
  it('are taken by systemd without a remark', { skip }, async () => {
    await using folder = await temporaryFolder()
    for (const name of ['keyturn.socket', 'keyturn@.service', 'keyturn@9091.service']) {
      const text = read(`deploy/systemd/${name.replace('9091', '')}`)
      await writeFile(join(folder.path, name), text.replace('/usr/bin/node', process.execPath))
    }
    const units = ['keyturn.socket', 'keyturn@9091.service'].map((name) => join(folder.path, name))
    const args = ['verify', '--man=no', ...units]
    const { stdout, stderr } = await promisify(execFile)(analyze ?? '', args)
    assert.equal(`${stdout}${stderr}`, '')
  })
})

describe('the Kubernetes manifests', () => {
  it('give pods and the migration a configuration that Keyturn takes, and the time to stop', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'keyturn.yaml')
    await writeFile(file, parse(read('deploy/kubernetes/configmap.yaml')).data['keyturn.yaml'])
    for (const name of ['deployment.yaml', 'migrate.yaml']) {
      const { container, podSpec } = containersOf(name)
      const env = Object.fromEntries(
        container.env.map(({ name, value }) => [
          name,
          name === 'KEYTURN_CONFIG' ? file : (value ?? FILLED[name]),
        ]),
      )
      const config = loadConfig({ env })
      assert.deepEqual(config.warnings, [])
      const services = parseAllDocuments(read('deploy/kubernetes/service.yaml'))
      const names = services.map((service) => service.getIn(['metadata', 'name']))
      for (const host of config.management.hosts) assert.ok(names.includes(host), host)
      const { shutdownDelay, shutdownTimeout } = config.http
      const grace = podSpec.terminationGracePeriodSeconds
      if (grace !== undefined) assert.ok(Number(grace) > shutdownDelay + shutdownTimeout)
    }
  })

  it('are all named in the kustomization, and are valid YAML', () => {
    const { resources } = parse(read('deploy/kubernetes/kustomization.yaml'))
    for (const name of resources) {
      for (const document of parseAllDocuments(read(`deploy/kubernetes/${name}`))) {
        assert.deepEqual(document.errors, [], name)
        assert.ok(document.get('kind'), name)
      }
    }
  })
})

describe('the rules for Prometheus', () => {
  it('ask for metrics that there are', async () => {
    const metrics = createMetrics({
      ...{ hasSeveral: false, clockOffset: () => 0, database: { isUsable: true } },
      ...{ inFlight: () => 0, forgeries: () => 0 },
    })
    const known = metrics.registry.getMetricsAsArray().map(({ name }) => name)
    const { groups } = parse(read('deploy/prometheus-rules.yaml'))
    const rules: { alert: string; expr: string }[] = groups.flatMap(
      (group: { rules: object[] }) => group.rules,
    )
    const asked = rules.flatMap(({ expr }) => expr.match(/keyturn_\w+/g) ?? [])
    assert.ok(asked.length >= 9)
    assert.deepEqual(
      asked.filter((name) => !known.includes(name)),
      [],
    )
    // What RPs wait for the JWKS at least, by the table of their models.
    const limit = Number(rules.find(({ alert }) => alert === 'KeyturnJwksSlow')?.expr.split('>')[1])
    const waits = RP_MODELS.flatMap(({ timeout }) => timeout ?? [])
    assert.ok(limit < Math.min(...waits), `${limit} s`)
  })
})
