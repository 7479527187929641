/** A port with some of its methods replaced, for tests that put a fault between two parts. */
export function over<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]): unknown => Reflect.apply(method, target, args)
    },
  })
}
