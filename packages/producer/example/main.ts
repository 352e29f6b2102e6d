import { startModelServer } from './model-server.ts'
import { answerQuestion, type Search } from './rag-job.ts'

/**
 * Runs one job against a running stack, with a stand-in for the model:
 * `TIDINGS_TOKEN=$(npm run -s token -- service) node packages/producer/dist/example/main.js [memberId] [tokens]`
 */
const token = process.env['TIDINGS_TOKEN']
const url = process.env['TIDINGS_URL'] ?? 'http://localhost:8080'
const memberId = process.argv[2] ?? 7
const tokens = Number(process.argv[3] ?? 5_000)
if (!token) {
  console.error('TIDINGS_TOKEN is not set. It takes a service token with the scope task:write: npm run -s token -- service')
  process.exit(2)
}

const search: Search = async () => [
  { title: '운영 안내서 4장', url: 'https://example.com/handbook#4', text: '알림은 유실되지 않습니다.' },
  { title: 'FAQ', url: 'https://example.com/faq', text: 'A refresh loses nothing.' },
]
const model = await startModelServer({ tokens })
const status = await answerQuestion(
  { memberId, question: '알림은 어떻게 유실되지 않나요?' },
  { url, token, modelUrl: model.url, search },
)
console.log(status)
model.close()
