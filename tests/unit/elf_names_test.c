/* elf_names_test.c - the names that a program's file tells; and no file, however damaged, does any harm. */
#include "described.h"

#include "dice.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file in the test's folder, mapped as if it were code. */
struct mapped {
    char path[4096];
    int fd;
    size_t size;
    char *at;
};

static struct mapped map_bytes(const void *bytes, size_t size)
{
    struct mapped file = {.size = size};
    const char *folder = getenv("TMPDIR");
    snprintf(file.path, sizeof file.path, "%s/mapped-XXXXXX", folder != NULL ? folder : "/tmp");
    file.fd = mkstemp(file.path);
    assert_true(file.fd >= 0);
    assert_int_equal(pwrite(file.fd, bytes, size, 0), size);
    file.at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    assert_true(file.at != MAP_FAILED);
    return file;
}

static void unmap(struct mapped *file)
{
    munmap(file->at, file->size);
    unlink(file->path);
    close(file->fd);
}

static void expect_number(const struct mapped *file, size_t offset)
{
    expect_no_name((uintptr_t)file->at + offset);
    assert_non_null(strstr(described((uintptr_t)file->at + offset, false), " (mapped-"));
}

static void a_file_that_is_no_program_has_only_numbers(void)
{
    needs_maps();
    static const char text[] = "#!/bin/sh\n";
    static const char magic[] = "\177ELF";
    struct mapped one = map_bytes(text, sizeof text), other = map_bytes(magic, sizeof magic);
    expect_number(&one, 0);
    expect_number(&other, 3);
    unmap(&one);
    unmap(&other);
}

/* A small program of the narrow class: 0x100 bytes of code at 0x8000 in memory and at 0x200 in the file. */
struct program {
    Elf32_Ehdr header;
    Elf32_Phdr segments[2];
    Elf32_Shdr sections[4];
    Elf32_Sym symbols[8];
    char names[64];
};

static Elf32_Sym symbol_of(struct program *program, const char *name, Elf32_Addr start, Elf32_Word size, int type)
{
    size_t at = 1;
    while (program->names[at]) at += strlen(program->names + at) + 1;
    memcpy(program->names + at, name, strlen(name));
    return (Elf32_Sym){.st_name = (Elf32_Word)at,
                       .st_value = start,
                       .st_size = size,
                       .st_info = (unsigned char)ELF32_ST_INFO(STB_GLOBAL, type),
                       .st_shndx = 3};
}

static struct program small_program(void)
{
    struct program program = {0};
    const uint16_t one = 1;
    memcpy(program.header.e_ident, ELFMAG, SELFMAG);
    program.header.e_ident[EI_CLASS] = ELFCLASS32;
    program.header.e_ident[EI_DATA] = *(const unsigned char *)&one == 1 ? ELFDATA2LSB : ELFDATA2MSB;
    program.header.e_machine = EM_386;
    program.header.e_phoff = offsetof(struct program, segments);
    program.header.e_phentsize = sizeof(Elf32_Phdr);
    program.header.e_phnum = 2;
    program.header.e_shoff = offsetof(struct program, sections);
    program.header.e_shentsize = sizeof(Elf32_Shdr);
    program.header.e_shnum = 4;
    program.segments[0] = (Elf32_Phdr){.p_type = PT_NOTE, .p_filesz = 0x1000};
    program.segments[1] = (Elf32_Phdr){.p_type = PT_LOAD, .p_offset = 0x200, .p_vaddr = 0x8000, .p_filesz = 0x100, .p_flags = PF_X};
    program.sections[1] = (Elf32_Shdr){.sh_type = SHT_SYMTAB,
                                       .sh_link = 2,
                                       .sh_offset = offsetof(struct program, symbols),
                                       .sh_size = sizeof program.symbols,
                                       .sh_entsize = sizeof(Elf32_Sym)};
    program.sections[2] =
        (Elf32_Shdr){.sh_type = SHT_STRTAB, .sh_offset = offsetof(struct program, names), .sh_size = sizeof program.names};
    program.sections[3] = (Elf32_Shdr){.sh_type = SHT_PROGBITS, .sh_addr = 0x8000, .sh_offset = 0x200, .sh_size = 0xf0};
    program.symbols[1] = symbol_of(&program, "__alias", 0x8010, 0x20, STT_FUNC);
    program.symbols[2] = symbol_of(&program, "first", 0x8010, 0x20, STT_FUNC);
    program.symbols[3] = symbol_of(&program, "inner", 0x8018, 0x4, STT_FUNC);
    program.symbols[4] = symbol_of(&program, "data", 0x8000, 0xff, STT_OBJECT);
    program.symbols[5] = symbol_of(&program, "sizeless", 0x8080, 0, STT_FUNC);
    program.symbols[6] = symbol_of(&program, "last", 0x80a0, 0x10, STT_FUNC);
    program.symbols[7] = symbol_of(&program, "elsewhere", 0x8040, 0x40, STT_FUNC);
    program.symbols[7].st_shndx = SHN_UNDEF;
    return program;
}

static struct mapped map_program(const struct program *program)
{
    char bytes[0x400] = "";
    assert_true(sizeof *program <= 0x400);
    memcpy(bytes, program, sizeof *program);
    return map_bytes(bytes, sizeof bytes);
}

static void the_name_is_that_of_the_innermost_function_that_holds_it(void)
{
    needs_maps();
    struct program program = small_program();
    struct mapped file = map_program(&program);
    uintptr_t code = (uintptr_t)file.at + 0x200;
    expect_no_name(code + 0x0f);
    expect_name(code + 0x10, "first");
    expect_name(code + 0x17, "first");
    expect_name(code + 0x18, "inner");
    expect_name(code + 0x1b, "inner");
    expect_name(code + 0x1c, "first");
    expect_name(code + 0x2f, "first");
    expect_described(code + 0x2f, false, "first+0x1f (mapped-");
    expect_described(code + 0x30, true, "first+0x20 (mapped-");
    expect_no_name(code + 0x30);
    expect_no_name(code + 0x40);
    expect_name(code + 0x80, "sizeless");
    expect_name(code + 0x9f, "sizeless");
    expect_name(code + 0xa0, "last");
    expect_no_name(code + 0xb0);
    expect_no_name(code + 0x100);
    expect_no_name((uintptr_t)file.at);
    unmap(&file);
}

static void a_name_without_size_ends_with_its_section(void)
{
    needs_maps();
    struct program program = small_program();
    program.symbols[6].st_size = 0;
    struct mapped file = map_program(&program);
    expect_name((uintptr_t)file.at + 0x200 + 0xef, "last");
    expect_no_name((uintptr_t)file.at + 0x200 + 0xf0);
    unmap(&file);
}

static void a_lie_in_a_file_is_not_followed(void)
{
    needs_maps();
    for (int lie = 0; lie < 15; lie++) {
        struct program program = small_program();
        Elf32_Shdr *symbols = &program.sections[1], *names = &program.sections[2];
        switch (lie) {
        case 0: program.header.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB; break;
        case 1: program.header.e_ident[EI_CLASS] = 3; break;
        case 2: program.header.e_phoff = 0xffffff00; break;
        case 3: program.header.e_phnum = 0xffff; break;
        case 4: program.header.e_shoff = 0xffffffff; break;
        case 5: program.header.e_shentsize = 1; break;
        case 6: program.header.e_shnum = 0xff00; break;
        case 7: symbols->sh_link = 0xffff; break;
        case 8: symbols->sh_entsize = 0; break;
        case 9: symbols->sh_size = 0xffffffff; break;
        case 10: names->sh_offset = 0x400; break;
        case 11: names->sh_size = 0x80000000; break;
        case 12: names->sh_type = SHT_NOBITS; break;
        case 13: program.symbols[1].st_name = program.symbols[2].st_name = 0xffffffff; break;
        case 14: program.header.e_phentsize = sizeof(Elf64_Phdr); break;
        }
        struct mapped file = map_program(&program);
        expect_number(&file, 0x210);
        unmap(&file);
    }
}

static void many_sections_are_counted_where_they_are(void)
{
    needs_maps();
    struct program program = small_program();
    program.header.e_shnum = 0;
    program.sections[0].sh_size = 4;
    struct mapped file = map_program(&program);
    expect_name((uintptr_t)file.at + 0x210 + 1, "first");
    program.sections[0].sh_size = 0xffffffff;
    struct mapped lying = map_program(&program);
    expect_number(&lying, 0x210 + 1);
    unmap(&file);
    unmap(&lying);
}

static void a_deleted_file_has_only_numbers(void)
{
    needs_maps();
    struct program program = small_program();
    struct mapped file = map_program(&program);
    unlink(file.path);
    expect_number(&file, 0x210);
    assert_non_null(strstr(described((uintptr_t)file.at + 0x210, false), "(deleted)"));
    unmap(&file);
}

/* ---- this program itself, damaged ---- */

static char *own_bytes(size_t *size)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    *size = (size_t)lseek(fd, 0, SEEK_END);
    char *bytes = malloc(*size);
    assert_non_null(bytes);
    for (size_t have = 0; have < *size;) {
        ssize_t got = pread(fd, bytes + have, *size - have, (off_t)have);
        assert_true(got > 0);
        have += (size_t)got;
    }
    close(fd);
    return bytes;
}

/* Where in the file the code of a function lies. */
static size_t own_offset(uintptr_t address)
{
    char line[4096];
    uintmax_t from, to, offset, found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%jx-%jx %*s %jx", &from, &to, &offset) == 3 && address >= from && address < to)
            found = address - from + offset;
    fclose(maps);
    return (size_t)found;
}

static void a_copy_of_this_program_has_the_same_names(void)
{
    needs_maps();
    size_t size;
    char *bytes = own_bytes(&size);
    struct mapped file = map_bytes(bytes, size);
    expect_described((uintptr_t)file.at + own_offset((uintptr_t)kept) + 1, false, "a_static_function+0x1 (mapped-");
    unmap(&file);
    free(bytes);
}

/* What a question costs is the size of its tables, so few addresses: no two questions are the same, for answers are remembered. */
static void a_damaged_file_does_no_harm(void)
{
    needs_maps();
    size_t size;
    struct dice dice = {.state = 4711};
    char *bytes = own_bytes(&size);
    struct mapped file = map_bytes(bytes, size);
    size_t code = own_offset((uintptr_t)kept);
    for (size_t i = 0; i < scaled(50000); i++) {
        const size_t areas[] = {64, 1024, size};
        size_t area = areas[roll_below(&dice, 3)];
        size_t start = roll_below(&dice, 2) == 0 ? 0 : size - area; /* the table of sections lies at the end */
        char damage[8];
        size_t at[4];
        for (size_t j = 0; j < count_of(at); j++) {
            uint64_t noise = roll_below(&dice, 3) == 0 ? UINT64_MAX : roll(&dice);
            size_t length = 1 + roll_below(&dice, sizeof damage);
            at[j] = start + roll_below(&dice, (uint32_t)(area - sizeof damage));
            memcpy(damage, &noise, sizeof damage);
            assert_int_equal(pwrite(file.fd, damage, length, (off_t)at[j]), length);
        }
        described((uintptr_t)file.at + (code + i * 7) % size, i % 2 == 0);
        for (size_t j = 0; j < count_of(at); j++)
            assert_int_equal(pwrite(file.fd, bytes + at[j], sizeof damage, (off_t)at[j]), sizeof damage);
    }
    unmap(&file);
    free(bytes);
}

static void a_file_that_was_cut_does_no_harm(void)
{
    needs_maps();
    size_t size, rounds = scaled(20000);
    char *bytes = own_bytes(&size);
    struct mapped file = map_bytes(bytes, size);
    size_t code = own_offset((uintptr_t)kept);
    for (size_t i = 0; i < rounds; i++) {
        size_t length = i < 100 ? i : size - (i - 100) * (size / rounds);
        assert_int_equal(ftruncate(file.fd, (off_t)length), 0);
        assert_int_equal(pwrite(file.fd, bytes, length, 0), length);
        described((uintptr_t)file.at + code + i, false);
    }
    unmap(&file);
    free(bytes);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_file_that_is_no_program_has_only_numbers), test(the_name_is_that_of_the_innermost_function_that_holds_it),
        test(a_name_without_size_ends_with_its_section),  test(a_lie_in_a_file_is_not_followed),
        test(many_sections_are_counted_where_they_are),   test(a_deleted_file_has_only_numbers),
        test(a_copy_of_this_program_has_the_same_names),  test(a_damaged_file_does_no_harm),
        test(a_file_that_was_cut_does_no_harm),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
