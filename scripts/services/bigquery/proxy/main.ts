/** The proxy before the stand-in for BigQuery as a process of its own: `main.ts PORT TARGET_PORT OBJECTS_FOLDER`. */
import { ApiProxy, PROXY_READY } from '../../api-proxy.ts'
import { answeringAsBigQuery } from './rule.ts'

const [port, targetPort, objectsFolder] = process.argv.slice(2)
if (port === undefined || targetPort === undefined || objectsFolder === undefined)
  throw new Error('PORT, TARGET_PORT and OBJECTS_FOLDER are needed')
const rule = answeringAsBigQuery(objectsFolder)
await ApiProxy.start({ port: Number(port), targetPort: Number(targetPort), rule })
console.log(PROXY_READY)
