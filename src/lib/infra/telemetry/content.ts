/** The text format of Prometheus, version 0.0.4. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';
export const metricsPath = '/metrics';
