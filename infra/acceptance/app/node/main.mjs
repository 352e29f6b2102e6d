import { createTidings } from '@tidings/client'
import { sendNotification } from '@tidings/producer'
import { Close } from '@tidings/protocol'

const tidings = createTidings()
tidings.start()
console.log(tidings.connection.getSnapshot().status, Close.restarting, typeof sendNotification)
