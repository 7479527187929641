/** The proxy before the stand-in for GCS as a process of its own: `main.ts PORT TARGET_PORT`. */
import { ApiProxy, PROXY_READY } from '../../api-proxy.ts'
import { keepingPreconditions } from './rule.ts'

const [port, targetPort] = process.argv.slice(2).map(Number)
if (port === undefined || targetPort === undefined)
  throw new Error('PORT and TARGET_PORT are needed')
await ApiProxy.start({ port, targetPort, rule: keepingPreconditions() })
console.log(PROXY_READY)
