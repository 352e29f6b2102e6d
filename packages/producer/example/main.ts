import { serviceToken } from '@tidings/local'
import { startModelServer } from './model-server.ts'
import { answerQuestion, type Search } from './rag-job.ts'

/** `node packages/producer/dist/example/main.js [memberId] [tokens]`, while `npm start` runs: watch the member's page. */
const memberId = Number(process.argv[2] ?? 7)
const tokens = Number(process.argv[3] ?? 5_000)
const url = process.env['TIDINGS_URL'] ?? 'http://localhost:8080'

const search: Search = async () => [
  { title: '운영 안내서 4장', url: 'https://example.com/handbook#4', text: '알림은 유실되지 않습니다.' },
  { title: 'FAQ', url: 'https://example.com/faq', text: 'A refresh loses nothing.' },
]
const model = await startModelServer({ tokens })
const ended = await answerQuestion(
  { memberId, question: '알림은 어떻게 유실되지 않나요?' },
  { url, token: () => serviceToken(), modelUrl: model.url, search },
)
console.log(ended)
model.close()
