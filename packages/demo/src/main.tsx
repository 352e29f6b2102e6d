import { createRoot } from 'react-dom/client'
import { installNetworkFaults } from './break/network-fault.ts'
import { Page } from './page/page.tsx'
import './style/token.css'
import './style/base.css'

installNetworkFaults()
const root = document.getElementById('root')
if (root) createRoot(root).render(<Page />)
