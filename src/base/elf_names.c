/* elf_names.c - the functions that an ELF file names. */
#define _POSIX_C_SOURCE 200809L
#include "base/elf_names.h"

#include <stddef.h>

#if defined(__ELF__)
#include "base/memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_MOST ((uint64_t)256 << 20) /* of a file, in memory at once */

/* Each in the one form that both classes of file are brought into. */
struct header {
    uint64_t segments_at, sections_at;
    size_t segments, sections, segment_size, section_size;
};

struct segment {
    uint64_t offset, address, size;
    bool is_code;
};

struct section {
    uint32_t type, link;
    uint64_t address, offset, size, entry_size;
};

struct symbol {
    uint32_t name;
    unsigned type, binding, section;
    uint64_t start, size;
};

struct tdm_elf_names {
    bool is_wide; /* ELFCLASS64 */
    bool is_arm;
    struct segment *segments;
    struct section *sections;
    unsigned char *symbols; /* as in the file */
    char *names;            /* ended by a 0 that the file need not have */
    size_t segment_count, section_count, symbol_count, name_size;
};

/* ---- reading ---- */

struct file {
    int fd;
    uint64_t size;
};

/* A part of the file, with a 0 behind it; NULL if it is not there whole. */
static void *read_part(const struct file *file, uint64_t offset, uint64_t size)
{
    if (offset > file->size || size > file->size - offset || size > PART_MOST || size == 0) return NULL;
    char *part = tdm_malloc((size_t)size + 1);
    size_t have = 0;
    while (part && have < size) {
        ssize_t got = pread(file->fd, part + have, (size_t)size - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            free(part); /* it has been cut since */
            return NULL;
        }
        have += (size_t)got;
    }
    if (part) part[size] = 0;
    return part;
}

/* A table of the file in our form: count entries, each made by take. */
static void *read_table(const struct file *file, uint64_t offset, size_t count, size_t raw_size, bool is_wide, size_t size,
                        void (*take)(const unsigned char *raw, bool is_wide, void *to))
{
    unsigned char *raw = read_part(file, offset, (uint64_t)count * raw_size);
    char *table = raw ? tdm_calloc(count, size) : NULL;
    for (size_t i = 0; table && i < count; i++) take(raw + i * raw_size, is_wide, table + i * size);
    free(raw);
    return table;
}

/* ---- the two classes ---- */

/* Copied out first: nothing in a file need be aligned. */
#define IN_EITHER_CLASS(raw, is_wide, wide_type, narrow_type, use)                                                                 \
    do {                                                                                                                           \
        if (is_wide) {                                                                                                             \
            wide_type from;                                                                                                        \
            memcpy(&from, (raw), sizeof from);                                                                                     \
            use;                                                                                                                   \
        } else {                                                                                                                   \
            narrow_type from;                                                                                                      \
            memcpy(&from, (raw), sizeof from);                                                                                     \
            use;                                                                                                                   \
        }                                                                                                                          \
    } while (0)

static void take_header(const unsigned char *raw, bool is_wide, void *to)
{
    struct header *header = to;
    IN_EITHER_CLASS(
        raw, is_wide, Elf64_Ehdr, Elf32_Ehdr,
        (*header = (struct header){from.e_phoff, from.e_shoff, from.e_phnum, from.e_shnum, from.e_phentsize, from.e_shentsize}));
}

static void take_segment(const unsigned char *raw, bool is_wide, void *to)
{
    struct segment *segment = to;
    IN_EITHER_CLASS(raw, is_wide, Elf64_Phdr, Elf32_Phdr,
                    (*segment = (struct segment){from.p_offset, from.p_vaddr, from.p_type == PT_LOAD ? from.p_filesz : 0,
                                                 from.p_flags & PF_X}));
}

static void take_section(const unsigned char *raw, bool is_wide, void *to)
{
    struct section *section = to;
    IN_EITHER_CLASS(
        raw, is_wide, Elf64_Shdr, Elf32_Shdr,
        (*section = (struct section){from.sh_type, from.sh_link, from.sh_addr, from.sh_offset, from.sh_size, from.sh_entsize}));
}

/* Type and binding lie alike in both. */
static void take_symbol(const unsigned char *raw, bool is_wide, void *to)
{
    struct symbol *symbol = to;
    IN_EITHER_CLASS(raw, is_wide, Elf64_Sym, Elf32_Sym,
                    (*symbol = (struct symbol){from.st_name, from.st_info & 15u, from.st_info >> 4, from.st_shndx, from.st_value,
                                               from.st_size}));
}

static size_t symbol_size(bool is_wide) { return is_wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym); }

/* ---- a whole file ---- */

static bool is_native(const unsigned char *ident)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_DATA] == (first == 1 ? ELFDATA2LSB : ELFDATA2MSB) &&
           (ident[EI_CLASS] == ELFCLASS64 || ident[EI_CLASS] == ELFCLASS32);
}

static bool read_headers(struct tdm_elf_names *names, const struct file *file)
{
    unsigned char *raw = read_part(file, 0, file->size < sizeof(Elf64_Ehdr) ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr));
    struct header header = {0};
    bool is_sound = raw && is_native(raw);
    if (is_sound) {
        uint16_t machine;
        names->is_wide = raw[EI_CLASS] == ELFCLASS64;
        memcpy(&machine, raw + offsetof(Elf32_Ehdr, e_machine), sizeof machine); /* it lies alike in both */
        names->is_arm = machine == EM_ARM;
        is_sound = !names->is_wide || file->size >= sizeof(Elf64_Ehdr);
    }
    if (is_sound) take_header(raw, names->is_wide, &header);
    free(raw);
    bool is_wide = names->is_wide;
    if (!is_sound || header.segment_size != (is_wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
        header.section_size != (is_wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
        return false;
    names->segment_count = header.segments;
    names->segments =
        read_table(file, header.segments_at, header.segments, header.segment_size, is_wide, sizeof *names->segments, take_segment);
    if (header.sections == 0 && header.sections_at != 0) { /* too many for the header: the first one's size says how many */
        struct section *first = read_table(file, header.sections_at, 1, header.section_size, is_wide, sizeof *first, take_section);
        if (first && first->size <= file->size / header.section_size) header.sections = (size_t)first->size;
        free(first);
    }
    names->section_count = header.sections;
    names->sections =
        read_table(file, header.sections_at, header.sections, header.section_size, is_wide, sizeof *names->sections, take_section);
    return names->segments && names->sections;
}

/* The full table; in a stripped file the one for the loader. */
static const struct section *symbol_table(const struct tdm_elf_names *names)
{
    static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (size_t type = 0; type < sizeof types / sizeof *types; type++)
        for (size_t i = 0; i < names->section_count; i++)
            if (names->sections[i].type == types[type]) return &names->sections[i];
    return NULL;
}

static bool read_symbols(struct tdm_elf_names *names, const struct file *file)
{
    const struct section *table = symbol_table(names);
    size_t entry = symbol_size(names->is_wide);
    if (!table || table->entry_size != entry || table->link >= names->section_count) return false;
    const struct section *text = &names->sections[table->link];
    names->symbols = read_part(file, table->offset, table->size);
    names->symbol_count = (size_t)(table->size / entry);
    if (text->type == SHT_STRTAB) names->names = read_part(file, text->offset, text->size);
    names->name_size = (size_t)text->size;
    return names->symbols && names->names;
}

/* Not to be opened if it is no plain file: a look at a device may set it going. */
static int open_plain(const char *path, uint64_t *size)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        *size = (uint64_t)status.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

struct tdm_elf_names *tdm_elf_names_read(const char *path)
{
    struct file file;
    file.fd = open_plain(path, &file.size);
    if (file.fd < 0) return NULL;
    struct tdm_elf_names *names = tdm_calloc(1, sizeof *names);
    bool is_read = names && read_headers(names, &file) && read_symbols(names, &file);
    close(file.fd);
    if (is_read) return names;
    tdm_elf_names_free(names);
    return NULL;
}

void tdm_elf_names_free(struct tdm_elf_names *names)
{
    if (!names) return;
    free(names->segments);
    free(names->sections);
    free(names->symbols);
    free(names->names);
    free(names);
}

/* ---- finding ---- */

/* The ends of two segments may share a page of the file: code first. */
static bool address_of(const struct tdm_elf_names *names, uint64_t offset, uint64_t *address)
{
    const struct segment *best = NULL;
    for (size_t i = 0; i < names->segment_count; i++) {
        const struct segment *segment = &names->segments[i];
        if (offset < segment->offset || offset - segment->offset >= segment->size) continue;
        if (!best || segment->is_code) best = segment;
    }
    if (best) *address = offset - best->offset + best->address;
    return best != NULL;
}

static const char *name_of(const struct tdm_elf_names *names, const struct symbol *symbol)
{
    return symbol->name < names->name_size ? names->names + symbol->name : "";
}

static bool is_function(const struct tdm_elf_names *names, const struct symbol *symbol)
{
#if !defined(STT_GNU_IFUNC)
#define STT_GNU_IFUNC 10
#endif
    return (symbol->type == STT_FUNC || symbol->type == STT_GNU_IFUNC) && symbol->section != SHN_UNDEF && *name_of(names, symbol);
}

/* One address may have many names: the innermost start, then what a programmer would call it. */
static bool is_better(const struct tdm_elf_names *names, const struct symbol *one, const struct symbol *other)
{
    if (one->start != other->start) return one->start > other->start;
    size_t underscores = strspn(name_of(names, one), "_"), others = strspn(name_of(names, other), "_");
    if (underscores != others) return underscores < others;
    return one->binding == STB_GLOBAL && other->binding != STB_GLOBAL;
}

/* Assembler code may have names without a size: those reach to the next name, or to their section's end. */
static bool reaches(const struct tdm_elf_names *names, const struct symbol *symbol, uint64_t address)
{
    if (symbol->size != 0 || symbol->section >= names->section_count) return false;
    const struct section *section = &names->sections[symbol->section];
    return address >= section->address && address - section->address < section->size;
}

const char *tdm_elf_names_find(const struct tdm_elf_names *names, uint64_t offset, uint64_t *distance)
{
    uint64_t address;
    struct symbol symbol, holder = {0}, nearest = {0};
    bool is_held = false, is_near = false;
    if (!names || !address_of(names, offset, &address)) return NULL;
    for (size_t i = 0; i < names->symbol_count; i++) {
        take_symbol(names->symbols + i * symbol_size(names->is_wide), names->is_wide, &symbol);
        if (!is_function(names, &symbol)) continue;
        if (names->is_arm) symbol.start &= ~(uint64_t)1; /* says: Thumb code */
        if (symbol.start > address) continue;
        if (address - symbol.start < symbol.size && (!is_held || is_better(names, &symbol, &holder)))
            holder = symbol, is_held = true;
        if (!is_near || is_better(names, &symbol, &nearest)) nearest = symbol, is_near = true;
    }
    if (!is_held && is_near && reaches(names, &nearest, address)) holder = nearest, is_held = true;
    if (!is_held) return NULL;
    *distance = address - holder.start;
    return name_of(names, &holder);
}

#else
struct tdm_elf_names *tdm_elf_names_read(const char *path)
{
    (void)path;
    return NULL;
}

void tdm_elf_names_free(struct tdm_elf_names *names) { (void)names; }

const char *tdm_elf_names_find(const struct tdm_elf_names *names, uint64_t offset, uint64_t *distance)
{
    (void)names, (void)offset, (void)distance;
    return NULL;
}
#endif
