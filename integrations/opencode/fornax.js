export const FornaxPlugin = async () => ({})
