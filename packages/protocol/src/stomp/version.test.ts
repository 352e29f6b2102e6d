import { expect, test } from 'vitest'
import { negotiateVersion, stompVersions, subprotocols } from './version.ts'

test.each([
  [undefined, '1.0'],
  ['1.2', '1.2'],
  ['1.0,1.1,1.2', '1.2'],
  ['1.2,1.1,1.0', '1.2'],
  ['1.0,1.1,2.0', '1.1'],
  ['1.0', '1.0'],
  [' 1.1 , 1.0', '1.1'],
  ['', undefined],
  ['2.0', undefined],
  ['1.20', undefined],
  ['1.2;1.1', undefined],
])('accept-version %j selects %j', (acceptVersion, version) => {
  expect(negotiateVersion(acceptVersion)).toBe(version)
})

test('every version has a subprotocol', () => {
  expect(stompVersions.map((version) => subprotocols[version])).toEqual(['v12.stomp', 'v11.stomp', 'v10.stomp'])
})
