import { connectStomp, memberToken, type ServiceProcess } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type GatewayStack, nextMessage, sendFrame, startGatewayStack, subscribe } from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway({ PUBLIC_TOPICS: 'news, release.*' })
})
afterAll(() => stack.close())

const open = async (topics: unknown) =>
  (await connectStomp(gateway.url, { token: memberToken(1, { claims: { topics } }) })).session

const many = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`)

test.each<readonly [name: string, topics: unknown, topic: string]>([
  ['all, without a claim', undefined, 'all'],
  ['all, with a claim that names others', ['team.7'], 'all'],
  ['a public topic', undefined, 'news'],
  ['a topic with a public beginning', undefined, 'release.2026'],
  ['a topic that the token names', ['team.7', 'order.*'], 'team.7'],
  ['a topic whose beginning the token names', ['team.7', 'order.*'], 'order.17'],
  ['any topic', ['*'], 'anything'],
  ['a topic beside items that are none', [7, null, {}, ['x'], '', '/topic/a', 'a*b', 'x'.repeat(200), 'team.7'], 'team.7'],
  ['the hundredth topic', many(100), 't99'],
])('permits a SUBSCRIBE to %s', async (_, topics, topic) => {
  const session = await open(topics)
  await subscribe(session, '0', `/topic/${topic}`)
  await stack.publisher.publish(`broadcast:${topic}`, '{"own":true}')
  expect((await nextMessage(session)).body).toBe('{"own":true}')
  await session.leaves()
})

test.each<readonly [name: string, topics: unknown, topic: string]>([
  ['a topic, without a claim', undefined, 'team.7'],
  ['a topic, with a claim that is null', null, 'team.7'],
  ['a topic, with a claim that is a text', 'team.7', 'team.7'],
  ['a topic, with a claim that is an object', { 'team.7': true }, 'team.7'],
  ['a topic in an inner array', [['team.7']], 'team.7'],
  ['a topic, with an empty claim', [], 'team.7'],
  ['another topic', ['team.7'], 'team.70'],
  ['a topic of another case', ['team.7'], 'Team.7'],
  ['the beginning alone', ['order.*'], 'order'],
  ['a topic that has the beginning elsewhere', ['order.*'], 'my.order.1'],
  ['a topic that a regular expression would match', ['team.7', '.*', 'team.+'], 'teamx7'],
  ['a topic that begins like a public one', undefined, 'news.inner'],
  ['a topic named like a channel', ['all', 'news'], 'all2'],
  ['the topic after the hundredth', many(101), 't100'],
])('refuses a SUBSCRIBE to %s', async (_, topics, topic) => {
  const session = await open(topics)
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: `/topic/${topic}`, receipt: 'r' })
  const error = await session.nextFrame()
  expect([error.command, error.headers.get('receipt-id'), error.headers.get('message')]).toEqual([
    'ERROR',
    'r',
    `the claim topics of the token does not permit /topic/${topic}`,
  ])
  expect((await session.closed()).code).toBe(4403)
})
