// Prints what an xclbin holds, read with the structures of XRT's own header. Independent of the writer: no offset is
// written down here.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "xclbin.h"

static const void *section(const axlf *top, axlf_section_kind kind, size_t file, size_t *size) {
  for (uint32_t i = 0; i < top->m_header.m_numSections; i++) {
    const axlf_section_header &s = top->m_sections[i];
    if (s.m_sectionKind != static_cast<uint32_t>(kind)) continue;
    if (s.m_sectionOffset % 8 != 0 || s.m_sectionOffset + s.m_sectionSize > file) return nullptr;
    *size = s.m_sectionSize;
    return reinterpret_cast<const char *>(top) + s.m_sectionOffset;
  }
  return nullptr;
}

int main(int argc, char **argv) {
  std::ifstream in(argc > 1 ? argv[1] : "", std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  if (bytes.size() < sizeof(axlf)) return std::puts("too short"), 1;
  std::vector<uint64_t> aligned((bytes.size() + 7) / 8);
  std::memcpy(aligned.data(), bytes.data(), bytes.size());
  const axlf *top = reinterpret_cast<const axlf *>(aligned.data());
  std::printf("magic %.7s\nlength %s\nmode %u\nplatform %s\nversion %u.%u\n", top->m_magic,
              top->m_header.m_length == bytes.size() ? "right" : "wrong", top->m_header.m_mode,
              reinterpret_cast<const char *>(top->m_header.m_platformVBNV), top->m_header.m_versionMajor,
              top->m_header.m_versionMinor);
  std::printf("signature %d\nuuid ", top->m_signature_length);
  for (unsigned char c : top->m_header.uuid) std::printf("%02x", c);
  std::puts("");
  size_t size = 0;
  if (auto *m = static_cast<const mem_topology *>(section(top, MEM_TOPOLOGY, bytes.size(), &size))) {
    for (int i = 0; i < m->m_count; i++) {
      const mem_data &d = m->m_mem_data[i];
      std::printf("memory %d %s type %u used %u kib %llu base %llx\n", i, d.m_tag, d.m_type, d.m_used,
                  static_cast<unsigned long long>(d.m_size), static_cast<unsigned long long>(d.m_base_address));
    }
    std::printf("memories %s\n", sizeof(mem_topology) + (m->m_count - 1) * sizeof(mem_data) == size ? "whole" : "cut");
  }
  if (auto *c = static_cast<const connectivity *>(section(top, CONNECTIVITY, bytes.size(), &size))) {
    for (int i = 0; i < c->m_count; i++) {
      const connection &d = c->m_connection[i];
      std::printf("connection %d ip %d memory %d\n", d.arg_index, d.m_ip_layout_index, d.mem_data_index);
    }
  }
  if (auto *l = static_cast<const ip_layout *>(section(top, IP_LAYOUT, bytes.size(), &size))) {
    for (int i = 0; i < l->m_count; i++) {
      const ip_data &d = l->m_ip_data[i];
      std::printf("ip %s type %u control %u base %llx\n", d.m_name, d.m_type,
                  (d.properties & IP_CONTROL_MASK) >> IP_CONTROL_SHIFT,
                  static_cast<unsigned long long>(d.m_base_address));
    }
  }
  if (auto *x = static_cast<const char *>(section(top, EMBEDDED_METADATA, bytes.size(), &size))) {
    std::printf("xml %zu\n%.*s", size, static_cast<int>(size), x);
  }
  return 0;
}
