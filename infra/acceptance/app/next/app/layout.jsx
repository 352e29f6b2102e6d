import { Notifications } from './notifications.jsx'

export default function Layout({ children }) {
  return (
    <html lang="en">
      <head>
        <link rel="icon" href="data:," />
      </head>
      <body>
        <Notifications>{children}</Notifications>
      </body>
    </html>
  )
}
