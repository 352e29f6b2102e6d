import { expect, test } from 'vitest'
import { Gateways } from './gateways.ts'

test('a name is resolved for each upgrade and spread over all its addresses, in any order of the results', async () => {
  const results = [['10.0.0.1', '10.0.0.2'], ['10.0.0.2', '10.0.0.1'], ['10.0.0.1', '10.0.0.2', '10.0.0.3'], []]
  const gateways = new Gateways(['http://gateway:8082'], async () => results.shift()?.map((address) => ({ address })) ?? [])
  const firsts = []
  for (let at = 0; at < 4; at += 1) firsts.push((await gateways.inTurn())[0])
  expect(firsts).toEqual([
    { host: '10.0.0.1', port: 8082 },
    { host: '10.0.0.2', port: 8082 },
    { host: '10.0.0.3', port: 8082 },
    undefined,
  ])
})

test('an unknown name is left out and the other gateways stay', async () => {
  const gateways = new Gateways(['http://gone:8082', 'http://[::1]:8083'], async (name) => {
    if (name === 'gone') throw new Error('ENOTFOUND')
    return [{ address: name }]
  })
  expect(await gateways.inTurn()).toEqual([{ host: '::1', port: 8083 }])
})
