import { createTidings, type InboxItem } from '@tidings/client'

interface Order {
  readonly orderId: number
}

const tidings = createTidings<Order>()

function element(selector: string): Element {
  return document.querySelector(selector) ?? document.body
}

function show(item: InboxItem<Order>): void {
  const orderId: number | undefined = item.data?.orderId
  const button = document.createElement('button')
  button.textContent = orderId === undefined ? item.message : `${item.message} ${orderId}`
  button.addEventListener('click', () => void tidings.inbox.markRead(item.notificationId))
  element('ul').append(button)
}

tidings.connection.subscribe(({ status }) => {
  element('#status').textContent = status
})
tidings.inbox.subscribe(({ unreadCount }) => {
  element('#unread').textContent = `${unreadCount} unread`
})
tidings.onNotification(show)
tidings.start()
