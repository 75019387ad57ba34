/** Names of .NET types in elements of a ring. */

const ASSEMBLIES = ['Microsoft.AspNetCore.DataProtection', 'Microsoft.AspNet.DataProtection']
/** Namespaces of a ring's types, below the name of the assembly. */
const DESCRIPTORS = 'AuthenticatedEncryption.ConfigurationModel'
const ENCRYPTORS = 'XmlEncryption'

const DOTNET_10 =
  'Microsoft.AspNetCore.DataProtection, Version=10.0.0.0, Culture=neutral, PublicKeyToken=adb9793829ddae60'

/**
 * Class of a deserializer that is part of .NET; undefined for a foreign one. Versions do not
 * matter.
 */
export function deserializerClass(type: string): string | undefined {
  return classOf(type, DESCRIPTORS)
}

/** Class of a decryptor that is part of .NET; undefined for a foreign one. */
export function decryptorClass(type: string): string | undefined {
  return classOf(type, ENCRYPTORS)
}

/** Full name of a deserializer's type, as .NET 10 writes it. */
export function deserializerType(className: string): string {
  return `Microsoft.AspNetCore.DataProtection.${DESCRIPTORS}.${className}, ${DOTNET_10}`
}

/** Full name of a decryptor's type, as .NET 10 writes it. */
export function decryptorType(className: string): string {
  return `Microsoft.AspNetCore.DataProtection.${ENCRYPTORS}.${className}, ${DOTNET_10}`
}

/** Name of a type for messages: the class alone, in printable characters. */
export function shownType(type: string): string {
  const name = type.split(',')[0]?.trim() ?? ''
  return name.replace(/[^\w.+`]/g, '?').slice(0, 120) || 'a type without name'
}

function classOf(type: string, namespace: string): string | undefined {
  const [name = '', assembly = ''] = type.split(',').map((part) => part.trim())
  if (!ASSEMBLIES.includes(assembly)) return undefined
  const prefix = ASSEMBLIES.map((root) => `${root}.${namespace}.`).find((p) => name.startsWith(p))
  return prefix === undefined ? undefined : name.slice(prefix.length)
}
