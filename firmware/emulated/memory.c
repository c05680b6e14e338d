// The functions that a compiler calls by itself; there is no C library here.
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  unsigned char *out = to;
  for (const unsigned char *in = from; bytes--;) *out++ = *in++;
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  for (unsigned char *out = to; bytes--;) *out++ = (unsigned char)value;
  return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
  unsigned char *const out = to;
  const unsigned char *const in = from;
  if (out < in) {
    for (size_t i = 0; i < bytes; i++) out[i] = in[i];
  } else {
    while (bytes--) out[bytes] = in[bytes];
  }
  return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
  const unsigned char *one = a, *other = b;
  for (; bytes; bytes--, one++, other++) {
    if (*one != *other) return *one < *other ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}
